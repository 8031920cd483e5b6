#include "common/kubernetes/work_queue.h"

#include <limits>

namespace shima {

void WorkQueue::add(const std::string& key) {
  if (const auto due = due_of_.find(key); due != due_of_.end()) {
    due_order_.erase({due->second, key});
    due_of_.erase(due);
  }
  if (!wanted_.insert(key).second) return;
  if (!worked_on_.count(key)) ready_.push_back(key);
}

void WorkQueue::add_after(const std::string& key, uint64_t delay_ms, uint64_t now_ms) {
  if (delay_ms == 0) return add(key);
  if (wanted_.count(key)) return;  // it comes sooner
  const uint64_t due_ms = delay_ms > std::numeric_limits<uint64_t>::max() - now_ms
                              ? std::numeric_limits<uint64_t>::max()
                              : now_ms + delay_ms;
  const auto [due, is_new] = due_of_.emplace(key, due_ms);
  if (!is_new) {
    if (due->second <= due_ms) return;
    due_order_.erase({due->second, key});
    due->second = due_ms;
  }
  due_order_.emplace(due_ms, key);
}

void WorkQueue::add_rate_limited(const std::string& key, uint64_t now_ms) {
  uint32_t& failures = failures_[key];
  if (failures < std::numeric_limits<uint32_t>::max()) ++failures;
  add_after(key, retry_.after(failures), now_ms);
}

void WorkQueue::forget(const std::string& key) { failures_.erase(key); }

uint32_t WorkQueue::failures(const std::string& key) const {
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::move_due(uint64_t now_ms) {
  while (!due_order_.empty() && due_order_.begin()->first <= now_ms)
    add(std::string(due_order_.begin()->second));
}

std::optional<std::string> WorkQueue::take(uint64_t now_ms) {
  move_due(now_ms);
  if (ready_.empty()) return std::nullopt;
  std::string key = std::move(ready_.front());
  ready_.pop_front();
  wanted_.erase(key);
  worked_on_.insert(key);
  return key;
}

void WorkQueue::done(const std::string& key) {
  if (worked_on_.erase(key) && wanted_.count(key)) ready_.push_back(key);
}

std::optional<uint64_t> WorkQueue::next_due_ms() const {
  if (due_order_.empty()) return std::nullopt;
  return due_order_.begin()->first;
}

}  // namespace shima
