// BlockingWorkQueue: a WorkQueue for threads that wait for work.
//
// Threads: any. The clock is handed in and outlives the queue.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "common/kubernetes/work_queue.h"
#include "common/runtime/clock.h"

namespace shima {

class BlockingWorkQueue {
 public:
  explicit BlockingWorkQueue(const Clock& clock, RetryDelay retry = {5, 300'000});

  void add(const std::string& key);
  void add_after(const std::string& key, uint64_t delay_ms);
  void add_rate_limited(const std::string& key);
  void forget(const std::string& key);

  // Waits for a key, which the caller works on until done(); none: stop() was called.
  std::optional<std::string> take();
  void done(const std::string& key);

  // All take() return, now and later; what still waits is dropped.
  void stop();
  size_t waiting() const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  WorkQueue queue_;       // under mutex_
  bool stopped_ = false;  // under mutex_
};

}  // namespace shima
