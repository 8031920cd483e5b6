#include "accessserver/fuse/lock_releases.h"

#include <limits>
#include <utility>
#include <vector>

namespace shima {

uint64_t LockReleases::begin(uint64_t inode) {
  std::lock_guard lock(mutex_);
  inodes_[inode].releases.insert(++newest_);
  return newest_;
}

void LockReleases::end(uint64_t inode, uint64_t release) {
  std::vector<std::function<void()>> due;
  {
    std::lock_guard lock(mutex_);
    const auto found = inodes_.find(inode);
    if (found == inodes_.end()) return;
    auto& [releases, waiting] = found->second;
    releases.erase(release);
    const uint64_t oldest = releases.empty() ? std::numeric_limits<uint64_t>::max() : *releases.begin();
    const auto not_yet = waiting.lower_bound(oldest);
    for (auto task = waiting.begin(); task != not_yet; ++task) due.push_back(std::move(task->second));
    waiting.erase(waiting.begin(), not_yet);
    if (releases.empty()) inodes_.erase(found);
  }
  for (const auto& task : due) task();
}

void LockReleases::after(uint64_t inode, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    const auto found = inodes_.find(inode);
    if (found != inodes_.end()) {
      found->second.waiting.emplace(*found->second.releases.rbegin(), std::move(task));
      return;
    }
  }
  task();
}

uint64_t LockReleases::newest() const {
  std::lock_guard lock(mutex_);
  return newest_;
}

}  // namespace shima
