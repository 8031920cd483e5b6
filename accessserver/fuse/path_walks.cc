#include "accessserver/fuse/path_walks.h"

#include <utility>

namespace shima {

void PathWalks::found(uint64_t thread, uint64_t inode) {
  const Walk walk{thread, inode, clock_()};
  std::lock_guard lock(mutex_);
  (thread == 0 ? of_thread_0_[inode % kSlots] : walks_[thread % kSlots]) = walk;
}

void PathWalks::forget(uint64_t thread) {
  if (thread == 0) return;
  std::lock_guard lock(mutex_);
  Walk& walk = walks_[thread % kSlots];
  if (walk.thread == thread) walk = {};
}

bool PathWalks::take(uint64_t thread, uint64_t inode) {
  const auto now = clock_();
  std::lock_guard lock(mutex_);
  if (thread == 0) {
    const Walk& walk = of_thread_0_[inode % kSlots];
    return walk.inode == inode && inode != 0 && now - walk.at <= kLongest;
  }
  Walk& walk = walks_[thread % kSlots];
  if (walk.thread != thread || walk.inode != inode) return false;
  return now - std::exchange(walk, {}).at <= kLongest;
}

}  // namespace shima
