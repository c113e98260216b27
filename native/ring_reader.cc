// SPDX-License-Identifier: Apache-2.0
#include "ring_reader.h"

#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <future>

#define _Static_assert static_assert  // C11's word, in C++
#include "../bpf/abi.h"
#undef _Static_assert

namespace hullguard {

namespace {

// A record in the ring: see kernel/bpf/ringbuf.c, struct bpf_ringbuf_hdr. Its data starts 8 bytes in, records are 8-aligned.
constexpr uint32_t kRecordHeaderBytes = BPF_RINGBUF_HDR_SZ;
constexpr uint32_t kLengthMask = ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

// A counter moves before its event is in the ring, so a drain that the counter hurried may come too early: the wake-up by the event
// itself is hurried too.
constexpr int kPromptWakeups = 2;
// From the end of a killed process: it has given its memory back by then, on a host with a CPU for it; the breaker and the alert can
// wait so long.
constexpr std::chrono::milliseconds kKilledDelay{5};

uint32_t Stride(uint32_t length_bytes) { return (length_bytes + kRecordHeaderBytes + 7) & ~7U; }

template <typename T>
T LoadAcquire(const T* address) {
  return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

}  // namespace

Status MappedRing::Map(int fd, uint32_t ring_bytes) {
  page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ring_bytes_ = ring_bytes;
  void* consumer = mmap(nullptr, page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (consumer == MAP_FAILED) return Status::FromErrno("cannot map the ring's consumer page");
  consumer_position_ = static_cast<uint64_t*>(consumer);
  // The data pages are mapped twice in a row, so a record that wraps is contiguous here.
  void* producer =
      mmap(nullptr, page_bytes_ + 2 * ring_bytes_, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(page_bytes_));
  if (producer == MAP_FAILED) return Status::FromErrno("cannot map the ring");
  producer_position_ = static_cast<const uint64_t*>(producer);
  data_ = static_cast<const uint8_t*>(producer) + page_bytes_;
  return Status::Ok();
}

void MappedRing::Unmap() {
  if (consumer_position_ != nullptr) (void)munmap(consumer_position_, page_bytes_);
  if (producer_position_ != nullptr)
    (void)munmap(const_cast<uint64_t*>(producer_position_), page_bytes_ + 2 * ring_bytes_);
  consumer_position_ = nullptr;
  producer_position_ = nullptr;
  data_ = nullptr;
}

uint32_t MappedRing::StrideAt(uint64_t position) const {
  const uint32_t length = LoadAcquire(reinterpret_cast<const uint32_t*>(At(position)));
  return (length & BPF_RINGBUF_BUSY_BIT) != 0 ? 0 : Stride(length & kLengthMask);
}

uint64_t MappedRing::BootNsAt(uint64_t position) const {
  uint64_t boot_ns = 0;
  std::memcpy(&boot_ns, At(position) + kRecordHeaderBytes + offsetof(ev_header, boot_ns), sizeof(boot_ns));
  return boot_ns;
}

void RingReader::Unmap() {
  bulk_.Unmap();
  critical_.Unmap();
}

Status RingReader::Start(RingSource bulk, RingSource critical, uint8_t* pool, uint32_t slab_bytes, uint32_t slab_count,
                         uint32_t batch_delay_ms, WakeCounts counts, HandOff hand_off) {
  Status status = bulk_.Map(bulk.fd, bulk.ring_bytes);
  if (status.ok()) status = critical_.Map(critical.fd, critical.ring_bytes);
  if (!status.ok()) {
    Unmap();
    return status;
  }
  pool_ = pool;
  slab_bytes_ = slab_bytes;
  batch_delay_ms_ = batch_delay_ms;
  counts_ = counts;
  hand_off_ = std::move(hand_off);
  free_slabs_.clear();
  is_handed_out_.assign(slab_count, false);
  for (uint32_t slab = slab_count; slab > 0; slab--) free_slabs_.push_back(slab - 1);
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  nudge_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.valid() || !nudge_.valid()) {
    status = Status::FromErrno("cannot make the reader's epoll");
    Unmap();
    return status;
  }
  epoll_event ring_event{};
  ring_event.events = EPOLLIN | EPOLLET;  // edge: a second event means a forced wake-up, not the same waiting data
  ring_event.data.u32 = 0;
  epoll_event nudge_event{};
  nudge_event.events = EPOLLIN | EPOLLET;
  nudge_event.data.u32 = 1;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bulk.fd, &ring_event) != 0 ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, critical.fd, &ring_event) != 0 ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, nudge_.get(), &nudge_event) != 0) {
    status = Status::FromErrno("cannot watch the ring");
    Unmap();
    return status;
  }
  is_stopping_ = false;
  std::promise<pid_t> thread_id;
  std::future<pid_t> told = thread_id.get_future();
  thread_ = std::thread([this, thread_id = std::move(thread_id)]() mutable {
    thread_id.set_value(gettid());
    Run();
  });
  thread_id_ = told.get();
  return Status::Ok();
}

// The flag says it and the eventfd only wakes, by its edge: a reader that has seen the flag and drained before the edge comes waits for
// company then, neither busily nor in haste.
void RingReader::Nudge() {
  is_nudged_ = true;
  const uint64_t one = 1;
  (void)!write(nudge_.get(), &one, sizeof(one));  // full counter: it has been readable, and is read in the next turn
}

void RingReader::Stop() {
  if (!thread_.joinable()) return;
  is_stopping_ = true;
  Nudge();
  thread_.join();
  Unmap();
  hand_off_ = nullptr;
  epoll_.Reset();
  nudge_.Reset();
  const std::lock_guard<std::mutex> lock(slabs_mutex_);
  free_slabs_.clear();
  is_handed_out_.clear();
}

bool RingReader::Release(uint32_t slab) {
  bool was_starved = false;
  {
    const std::lock_guard<std::mutex> lock(slabs_mutex_);
    if (slab >= is_handed_out_.size() || !is_handed_out_[slab]) return false;
    is_handed_out_[slab] = false;
    was_starved = free_slabs_.empty();
    free_slabs_.push_back(slab);
  }
  if (was_starved) Nudge();
  return true;
}

int RingReader::TakeFreeSlab() {
  const std::lock_guard<std::mutex> lock(slabs_mutex_);
  if (free_slabs_.empty()) return -1;
  const uint32_t slab = free_slabs_.back();
  free_slabs_.pop_back();
  is_handed_out_[slab] = true;
  return static_cast<int>(slab);
}

// The ends are read in an order that keeps causes before effects. What is in critical before bulk's end is read has all its
// bulk predecessors in bulk by then, so it may be taken when bulk is used up; what came to critical later only goes before
// bulk events that are younger.
//
//   critical  ----------- settled_end ------ critical_end      bulk  ------------ bulk_end
//              (1) read                   (3) read                    (2) read
uint32_t RingReader::FillSlab(uint8_t* slab) {
  uint64_t critical = critical_.Consumed();  // written by this thread only
  uint64_t bulk = bulk_.Consumed();
  uint64_t settled_end, bulk_end, critical_end;
  do {
    settled_end = critical_.Produced();
    bulk_end = bulk_.Produced();
    critical_end = critical_.Produced();
  } while (settled_end == critical && bulk_end == bulk && critical_end != critical);
  uint32_t filled_bytes = 0;
  while (critical < critical_end || bulk < bulk_end) {
    const bool has_critical = critical < critical_end, has_bulk = bulk < bulk_end;
    if (!has_bulk && critical >= settled_end) break;
    const uint32_t critical_stride = has_critical ? critical_.StrideAt(critical) : 0;
    const uint32_t bulk_stride = has_bulk ? bulk_.StrideAt(bulk) : 0;
    // One that is being written holds up both rings, since its time is not known; its commit wakes this thread.
    if ((has_critical && critical_stride == 0) || (has_bulk && bulk_stride == 0)) break;
    const bool takes_critical = has_critical && (!has_bulk || critical_.BootNsAt(critical) <= bulk_.BootNsAt(bulk));
    const uint32_t stride = takes_critical ? critical_stride : bulk_stride;
    if (filled_bytes + stride > slab_bytes_) break;
    uint64_t& position = takes_critical ? critical : bulk;
    std::memcpy(slab + filled_bytes, (takes_critical ? critical_ : bulk_).At(position), stride);
    filled_bytes += stride;
    position += stride;
  }
  if (filled_bytes == 0) return 0;
  bytes_count_.fetch_add(filled_bytes);  // before the positions: bytes that have left a ring are counted
  critical_.Consume(critical);
  bulk_.Consume(bulk);
  return filled_bytes;
}

bool RingReader::Drain() {
  for (;;) {
    if (critical_.Produced() == critical_.Consumed() && bulk_.Produced() == bulk_.Consumed()) return true;
    const int slab = TakeFreeSlab();
    if (slab < 0) {
      waits_for_slab_count_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    const uint32_t size_bytes = FillSlab(pool_ + static_cast<size_t>(slab) * slab_bytes_);
    if (size_bytes == 0) {  // the oldest record is not committed yet; its commit wakes us
      (void)Release(static_cast<uint32_t>(slab));
      return true;
    }
    slabs_count_.fetch_add(1, std::memory_order_relaxed);
    if (!hand_off_(static_cast<uint32_t>(slab), size_bytes)) {
      is_stopping_ = true;
      return true;
    }
  }
}

bool RingReader::IsUrgent() {
  const uint64_t urgent = LoadAcquire(counts_.urgent);
  if (urgent != urgent_seen_) {
    urgent_seen_ = urgent;
    urgent_wakeups_left_ = kPromptWakeups;
  }
  return urgent_wakeups_left_ > 0 || is_nudged_ || is_stopping_;
}

bool RingReader::IsKillWaiting() {
  const uint64_t killed = LoadAcquire(counts_.killed);
  if (killed != killed_seen_) {
    killed_seen_ = killed;
    killed_wakeups_left_ = kPromptWakeups;
  }
  return killed_wakeups_left_ > 0;
}

// Each ring wakes for its own first event, so the wait goes on until its time is up, whatever wakes it that is not urgent. The end of
// a killed process makes that time short, once.
void RingReader::WaitForCompany() {
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + std::chrono::milliseconds(batch_delay_ms_);
  bool is_short = false;
  epoll_event events[3];
  while (!IsUrgent()) {
    if (!is_short && IsKillWaiting()) {
      is_short = true;
      end = std::min(end, Clock::now() + kKilledDelay);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return;
    (void)epoll_wait(epoll_.get(), events, 3, static_cast<int>(left));
  }
}

void RingReader::Run() {
  epoll_event events[3];
  while (!is_stopping_) {
    const int count = epoll_wait(epoll_.get(), events, 3, /* timeout_ms= */ -1);
    if (count < 0) continue;  // EINTR
    wakeups_count_.fetch_add(1, std::memory_order_relaxed);
    WaitForCompany();
    if (urgent_wakeups_left_ > 0) urgent_wakeups_left_--;
    if (IsKillWaiting()) killed_wakeups_left_--;  // asked in any case: what is drained now must not hurry a later event
    is_nudged_ = false;
    uint64_t ignored = 0;
    (void)!read(nudge_.get(), &ignored, sizeof(ignored));  // EAGAIN when it was the ring
    (void)Drain();                                         // false: Release() nudges when a slab is back
  }
}

RingReaderStats RingReader::Stats() const {
  return {slabs_count_.load(), bytes_count_.load(), waits_for_slab_count_.load(), wakeups_count_.load()};
}

uint64_t RingReader::WaitingBytes() const {
  if (!bulk_.mapped() || !critical_.mapped()) return 0;
  // what has been read is asked first: it never passes what there is later
  const uint64_t read = bulk_.Consumed() + critical_.Consumed();
  return bulk_.Produced() + critical_.Produced() - read;
}

}  // namespace hullguard
