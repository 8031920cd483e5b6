// How long an operation on etcd goes on trying, and the pauses between. Internal to coreserver/cluster.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

#include "common/runtime/clock.h"

namespace shima {

class RetryDeadline {
 public:
  explicit RetryDeadline(uint32_t timeout_ms) : end_ms_(real_clock().now_ms() + timeout_ms) {}
  bool is_over() const { return real_clock().now_ms() >= end_ms_; }
  // Pauses before the next try, a little longer each time.
  void pause() {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms_));
    pause_ms_ = std::min<uint64_t>(pause_ms_ * 2, 500);
  }

 private:
  uint64_t end_ms_;
  uint64_t pause_ms_ = 20;
};

}  // namespace shima
