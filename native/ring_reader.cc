// SPDX-License-Identifier: Apache-2.0
#include "ring_reader.h"

#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace hullguard {

namespace {

// A record in the ring: see kernel/bpf/ringbuf.c, struct bpf_ringbuf_hdr. Its data starts 8 bytes in, records are 8-aligned.
constexpr uint32_t kRecordHeaderBytes = BPF_RINGBUF_HDR_SZ;
constexpr uint32_t kLengthMask = ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

uint32_t Stride(uint32_t length_bytes) { return (length_bytes + kRecordHeaderBytes + 7) & ~7U; }

template <typename T>
T LoadAcquire(const T* address) {
  return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

}  // namespace

Status RingReader::Map(int ring_fd, uint32_t ring_bytes) {
  page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ring_bytes_ = ring_bytes;
  void* consumer = mmap(nullptr, page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
  if (consumer == MAP_FAILED) return Status::FromErrno("cannot map the ring's consumer page");
  consumer_position_ = static_cast<uint64_t*>(consumer);
  // The data pages are mapped twice in a row, so a record that wraps is contiguous here.
  void* producer =
      mmap(nullptr, page_bytes_ + 2 * ring_bytes_, PROT_READ, MAP_SHARED, ring_fd, static_cast<off_t>(page_bytes_));
  if (producer == MAP_FAILED) return Status::FromErrno("cannot map the ring");
  producer_position_ = static_cast<const uint64_t*>(producer);
  data_ = static_cast<const uint8_t*>(producer) + page_bytes_;
  return Status::Ok();
}

void RingReader::Unmap() {
  if (consumer_position_ != nullptr) (void)munmap(consumer_position_, page_bytes_);
  if (producer_position_ != nullptr)
    (void)munmap(const_cast<uint64_t*>(producer_position_), page_bytes_ + 2 * ring_bytes_);
  consumer_position_ = nullptr;
  producer_position_ = nullptr;
  data_ = nullptr;
}

Status RingReader::Start(int ring_fd, uint32_t ring_bytes, uint8_t* pool, uint32_t slab_bytes, uint32_t slab_count,
                         uint32_t batch_delay_ms, const uint64_t* urgent_count, HandOff hand_off) {
  Status status = Map(ring_fd, ring_bytes);
  if (!status.ok()) {
    Unmap();
    return status;
  }
  pool_ = pool;
  slab_bytes_ = slab_bytes;
  batch_delay_ms_ = batch_delay_ms;
  urgent_count_ = urgent_count;
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
  nudge_event.events = EPOLLIN;
  nudge_event.data.u32 = 1;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, ring_fd, &ring_event) != 0 ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, nudge_.get(), &nudge_event) != 0) {
    status = Status::FromErrno("cannot watch the ring");
    Unmap();
    return status;
  }
  is_stopping_ = false;
  thread_ = std::thread([this] { Run(); });
  return Status::Ok();
}

void RingReader::Nudge() {
  is_nudged_ = true;
  const uint64_t one = 1;
  (void)!write(nudge_.get(), &one, sizeof(one));  // full counter: it is readable already
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

uint32_t RingReader::CopyRun(uint8_t* slab) {
  const uint64_t start = *consumer_position_;  // written by this thread only
  const uint64_t end = LoadAcquire(producer_position_);
  uint64_t position = start;
  while (position < end) {
    const uint8_t* record = data_ + (position & (ring_bytes_ - 1));
    const uint32_t length = LoadAcquire(reinterpret_cast<const uint32_t*>(record));
    if ((length & BPF_RINGBUF_BUSY_BIT) != 0) break;
    const uint32_t stride = Stride(length & kLengthMask);
    if (position + stride - start > slab_bytes_) break;
    position += stride;
  }
  const uint64_t run_bytes = position - start;
  if (run_bytes == 0) return 0;
  std::memcpy(slab, data_ + (start & (ring_bytes_ - 1)), run_bytes);
  bytes_count_.fetch_add(run_bytes);  // before the position: bytes that have left the ring are counted
  // A full barrier, not a release: the kernel wakes only a reader that had caught up, so this store must be out before Drain()
  // looks for more, or a record that is committed in between wakes nobody (the ring's event is edge-triggered).
  __atomic_store_n(consumer_position_, position, __ATOMIC_SEQ_CST);
  return static_cast<uint32_t>(run_bytes);
}

bool RingReader::Drain() {
  for (;;) {
    if (LoadAcquire(producer_position_) == *consumer_position_) return true;
    const int slab = TakeFreeSlab();
    if (slab < 0) {
      waits_for_slab_count_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    const uint32_t size_bytes = CopyRun(pool_ + static_cast<size_t>(slab) * slab_bytes_);
    if (size_bytes == 0) {  // the oldest record is not committed yet; its commit wakes us
      (void)Release(static_cast<uint32_t>(slab));
      return true;
    }
    slabs_count_.fetch_add(1, std::memory_order_relaxed);
    if (!hand_off_(static_cast<uint32_t>(slab), size_bytes)) return true;
  }
}

void RingReader::Run() {
  uint64_t urgent_seen = 0;
  epoll_event events[2];
  while (!is_stopping_) {
    const int count = epoll_wait(epoll_.get(), events, 2, /* timeout_ms= */ -1);
    if (count < 0) continue;  // EINTR
    wakeups_count_.fetch_add(1, std::memory_order_relaxed);
    const uint64_t urgent = urgent_count_ == nullptr ? 0 : LoadAcquire(urgent_count_);
    const bool is_urgent = urgent != urgent_seen || is_nudged_;
    if (!is_urgent && !is_stopping_) (void)epoll_wait(epoll_.get(), events, 2, static_cast<int>(batch_delay_ms_));
    uint64_t ignored = 0;
    (void)!read(nudge_.get(), &ignored, sizeof(ignored));  // EAGAIN when it was the ring
    is_nudged_ = false;
    urgent_seen = urgent_count_ == nullptr ? 0 : LoadAcquire(urgent_count_);
    (void)Drain();  // false: Release() nudges when a slab is back
  }
}

RingReaderStats RingReader::Stats() const {
  return {slabs_count_.load(), bytes_count_.load(), waits_for_slab_count_.load(), wakeups_count_.load()};
}

uint64_t RingReader::WaitingBytes() const {
  if (producer_position_ == nullptr) return 0;
  return LoadAcquire(producer_position_) - LoadAcquire(consumer_position_);
}

}  // namespace hullguard
