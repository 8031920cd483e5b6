#include "accessserver/nfs/rpc/reply_cache.h"

namespace shima {

ReplyCache::Verdict ReplyCache::begin(const RpcCallKey& key, RpcRequestPtr& request, XdrWriter& results) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!make_room()) return Verdict::kUncached;
    entries_.emplace(key, Entry());
    return Verdict::kRun;
  }
  Entry& entry = found->second;
  if (entry.answered) {
    results = entry.results;
    return Verdict::kAnswered;
  }
  if (entry.waiting.size() >= kMaxWaiting) return Verdict::kTooMany;
  entry.waiting.push_back(std::move(request));
  return Verdict::kWaits;
}

bool ReplyCache::make_room() {
  if (entries_.size() < max_entries_) return true;
  if (by_age_.empty()) return false;
  entries_.erase(by_age_.front());
  by_age_.pop_front();
  return true;
}

std::vector<RpcRequestPtr> ReplyCache::finish(const RpcCallKey& key, const XdrWriter& results) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.answered) return {};
  found->second.answered = true;
  found->second.results = results;
  by_age_.push_back(key);
  return std::move(found->second.waiting);
}

void ReplyCache::forget(const RpcCallKey& key) {
  std::vector<RpcRequestPtr> dropped;  // outside the lock
  std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.answered) return;
  dropped = std::move(found->second.waiting);
  entries_.erase(found);
}

size_t ReplyCache::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace shima
