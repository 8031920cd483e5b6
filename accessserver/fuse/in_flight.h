// InFlight: counts requests that were read from the kernel and are not answered yet, so that a mount ends
// only after the last answer. Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace shima {

class InFlight {
 public:
  void enter() {
    std::lock_guard lock(mutex_);
    ++count_;
  }
  void leave() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) idle_.notify_all();  // under the lock: whoever waits may destroy this right after
  }
  void wait_idle() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable idle_;
  uint64_t count_ = 0;
};

}  // namespace shima
