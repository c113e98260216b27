// SPDX-License-Identifier: Apache-2.0
// Drains a BPF ring buffer on a thread of its own into slabs of a caller-owned pool.
//
//   pool:  | slab 0 | slab 1 | … | slab n-1 |      a slab holds whole ring records as they lie in the ring:
//   slab:  | u32 length, u32 page offset | event … pad to 8 | next record … |
//
// Bounded: with no free slab the records stay in the ring, and the kernel side counts what then finds no room.
// Batching: after the wake-up for the first record in an empty ring it waits batch_delay_ms for more, unless the urgent
// counter has moved or the kernel side forces a wake-up.
#pragma once

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

class RingReader {
 public:
  // Thread: reader. Called with a full slab; must not block. False: the other side is gone, the reader ends.
  using HandOff = std::function<bool(uint32_t slab, uint32_t size_bytes)>;

  RingReader() = default;
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;
  ~RingReader() { Stop(); }

  // Thread: JavaScript. `pool` outlives Stop(); `urgent_count` may be nullptr.
  Status Start(int ring_fd, uint32_t ring_bytes, uint8_t* pool, uint32_t slab_bytes, uint32_t slab_count,
               uint32_t batch_delay_ms, const uint64_t* urgent_count, HandOff hand_off);
  // Thread: JavaScript. False for a slab that is not handed out.
  [[nodiscard]] bool Release(uint32_t slab);
  // Thread: JavaScript. Drains what is committed into free slabs at once (used before a clean stop).
  void Nudge();
  // Thread: JavaScript. Returns when the thread has ended. Idempotent.
  void Stop();
  RingReaderStats Stats() const;
  // Bytes that wait in the ring.
  uint64_t WaitingBytes() const;
  bool running() const { return thread_.joinable(); }

 private:
  Status Map(int ring_fd, uint32_t ring_bytes);
  void Unmap();
  void Run();
  // Drains all that is committed; false when it has to wait for a slab.
  bool Drain();
  uint32_t CopyRun(uint8_t* slab);
  int TakeFreeSlab();

  uint64_t* consumer_position_ = nullptr;
  const uint64_t* producer_position_ = nullptr;
  const uint8_t* data_ = nullptr;
  size_t ring_bytes_ = 0;
  size_t page_bytes_ = 0;

  uint8_t* pool_ = nullptr;
  uint32_t slab_bytes_ = 0;
  uint32_t batch_delay_ms_ = 0;
  const uint64_t* urgent_count_ = nullptr;
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
};

}  // namespace hullguard
