#include "common/kubernetes/blocking_work_queue.h"

#include <algorithm>
#include <chrono>

namespace shima {

BlockingWorkQueue::BlockingWorkQueue(const Clock& clock, RetryDelay retry) : clock_(clock), queue_(retry) {}

void BlockingWorkQueue::add(const std::string& key) {
  std::lock_guard lock(mutex_);
  queue_.add(key);
  changed_.notify_one();
}

void BlockingWorkQueue::add_after(const std::string& key, uint64_t delay_ms) {
  std::lock_guard lock(mutex_);
  queue_.add_after(key, delay_ms, clock_.now_ms());
  changed_.notify_one();
}

void BlockingWorkQueue::add_rate_limited(const std::string& key) {
  std::lock_guard lock(mutex_);
  queue_.add_rate_limited(key, clock_.now_ms());
  changed_.notify_one();
}

void BlockingWorkQueue::forget(const std::string& key) {
  std::lock_guard lock(mutex_);
  queue_.forget(key);
}

std::optional<std::string> BlockingWorkQueue::take() {
  // No wait is longer than this: the clock counts while the machine sleeps, a condition variable's does not.
  constexpr uint64_t kLongestWaitMs = 5'000;
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const uint64_t now_ms = clock_.now_ms();
    if (auto key = queue_.take(now_ms)) return key;
    const auto due_ms = queue_.next_due_ms();
    if (!due_ms) {
      changed_.wait(lock);
      continue;
    }
    const uint64_t wait_ms = std::min(*due_ms > now_ms ? *due_ms - now_ms : 1, kLongestWaitMs);
    changed_.wait_for(lock, std::chrono::milliseconds(wait_ms));
  }
  return std::nullopt;
}

void BlockingWorkQueue::done(const std::string& key) {
  std::lock_guard lock(mutex_);
  queue_.done(key);
  changed_.notify_one();
}

void BlockingWorkQueue::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

size_t BlockingWorkQueue::waiting() const {
  std::lock_guard lock(mutex_);
  return queue_.waiting();
}

}  // namespace shima
