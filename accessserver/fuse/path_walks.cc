#include "accessserver/fuse/path_walks.h"

#include <utility>

namespace shima {

void PathWalks::found(uint64_t thread, uint64_t inode) {
  if (thread == 0) return;
  const Walk walk{thread, inode, clock_()};
  std::lock_guard lock(mutex_);
  walks_[thread % kSlots] = walk;
}

void PathWalks::forget(uint64_t thread) {
  std::lock_guard lock(mutex_);
  Walk& walk = walks_[thread % kSlots];
  if (walk.thread == thread) walk = {};
}

bool PathWalks::take(uint64_t thread, uint64_t inode) {
  if (thread == 0) return false;
  const auto now = clock_();
  std::lock_guard lock(mutex_);
  Walk& walk = walks_[thread % kSlots];
  if (walk.thread != thread || walk.inode != inode) return false;
  return now - std::exchange(walk, {}).at <= kLongest;
}

}  // namespace shima
