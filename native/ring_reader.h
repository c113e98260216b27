// SPDX-License-Identifier: Apache-2.0
// Drains two BPF ring buffers on a thread of its own into slabs of a caller-owned pool: bulk events, and critical ones that
// bulk must not push out. They are merged by their events' boot_ns, so the numbers of a CPU, which run on over both, come in
// order and a jump is a loss in its place.
//
//   pool:  | slab 0 | slab 1 | … | slab n-1 |      a slab holds whole ring records as they lie in the ring:
//   slab:  | u32 length, u32 page offset | event … pad to 8 | next record … |
//
// Bounded: with no free slab the records stay in the ring, and the kernel side counts what then finds no room.
// Batching: after the wake-up for the first record in an empty ring it waits batch_delay_ms for more. It ends the wait when the
// urgent counter moves, and kKilledDelay after the killed counter does; the kernel side follows both by a forced wake-up.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "result.h"

namespace hullguard {

struct RingReaderStats {
  uint64_t slabs_count = 0;
  uint64_t bytes_count = 0;
  uint64_t waits_for_slab_count = 0;
  uint64_t wakeups_count = 0;
};

// One mapped ring. Reading thread: one.
class MappedRing {
 public:
  Status Map(int fd, uint32_t ring_bytes);
  void Unmap();
  bool mapped() const { return producer_position_ != nullptr; }
  uint64_t Produced() const { return __atomic_load_n(producer_position_, __ATOMIC_ACQUIRE); }
  uint64_t Consumed() const { return __atomic_load_n(consumer_position_, __ATOMIC_ACQUIRE); }
  // A full barrier, not a release: the kernel wakes only a reader that had caught up, so this store must be out before the
  // reader looks for more, or a record that is committed in between wakes nobody (the ring's event is edge-triggered).
  void Consume(uint64_t position) { __atomic_store_n(consumer_position_, position, __ATOMIC_SEQ_CST); }
  const uint8_t* At(uint64_t position) const { return data_ + (position & (ring_bytes_ - 1)); }
  // Bytes of the record there with its header and padding; 0: it is not committed yet.
  uint32_t StrideAt(uint64_t position) const;
  // When its event happened.
  uint64_t BootNsAt(uint64_t position) const;

 private:
  uint64_t* consumer_position_ = nullptr;
  const uint64_t* producer_position_ = nullptr;
  const uint8_t* data_ = nullptr;
  size_t ring_bytes_ = 0;
  size_t page_bytes_ = 0;
};

// Counters of the kernel side, live.
struct WakeCounts {
  const uint64_t* urgent = nullptr;
  const uint64_t* killed = nullptr;
};

struct RingSource {
  int fd;
  uint32_t ring_bytes;
};

class RingReader {
 public:
  // Thread: reader. Called with a slab that holds events; must not block. False: nobody takes slabs any more, the reader ends.
  using HandOff = std::function<bool(uint32_t slab, uint32_t size_bytes)>;

  RingReader() = default;
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;
  ~RingReader() { Stop(); }

  // Thread: JavaScript. `pool` and what `counts` names outlive Stop().
  Status Start(RingSource bulk, RingSource critical, uint8_t* pool, uint32_t slab_bytes, uint32_t slab_count,
               uint32_t batch_delay_ms, WakeCounts counts, HandOff hand_off);
  // Thread: JavaScript. The reader's own, while it runs.
  pid_t thread_id() const { return thread_id_; }
  // Thread: JavaScript. False for a slab that is not handed out.
  [[nodiscard]] bool Release(uint32_t slab);
  // Thread: JavaScript. Drains what is committed into free slabs at once (used before a clean stop).
  void Nudge();
  // Thread: JavaScript. Returns when the thread has ended. Idempotent.
  void Stop();
  RingReaderStats Stats() const;
  // Bytes that wait in the rings.
  uint64_t WaitingBytes() const;
  bool running() const { return thread_.joinable(); }

 private:
  void Unmap();
  void Run();
  // Has an event come that user space has to act on, or has JavaScript asked?
  bool IsUrgent();
  // Has a process ended that was killed, which has to be told soon?
  bool IsKillWaiting();
  void WaitForCompany();
  // Drains all that is committed; false when it has to wait for a slab.
  bool Drain();
  // Copies as many events as a slab holds, merged; 0 when none is committed.
  uint32_t FillSlab(uint8_t* slab);
  int TakeFreeSlab();

  MappedRing bulk_, critical_;

  uint8_t* pool_ = nullptr;
  uint32_t slab_bytes_ = 0;
  uint32_t batch_delay_ms_ = 0;
  WakeCounts counts_;
  uint64_t urgent_seen_ = 0;     // thread: reader
  uint64_t killed_seen_ = 0;     // thread: reader
  int urgent_wakeups_left_ = 0;  // thread: reader
  int killed_wakeups_left_ = 0;  // thread: reader
  HandOff hand_off_;

  std::mutex slabs_mutex_;
  std::vector<uint32_t> free_slabs_;  // under slabs_mutex_
  std::vector<bool> is_handed_out_;   // under slabs_mutex_

  Fd epoll_;
  Fd nudge_;  // eventfd: stop, a slab came back, or drain now
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_nudged_{false};
  std::atomic<uint64_t> slabs_count_{0}, bytes_count_{0}, waits_for_slab_count_{0}, wakeups_count_{0};
  std::thread thread_;
  pid_t thread_id_ = 0;
};

}  // namespace hullguard
