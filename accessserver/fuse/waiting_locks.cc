#include "accessserver/fuse/waiting_locks.h"

#include <utility>

namespace shima {

void WaitingLock::started(uint64_t ticket) {
  bool cancel = false;
  {
    std::lock_guard lock(mutex_);
    started_ = true;
    ticket_ = ticket;
    cancel = interrupted_;
  }
  if (cancel) files_.cancel(ticket);
}

void WaitingLock::interrupt() {
  uint64_t ticket = 0;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(interrupted_, true) || !started_) return;
    ticket = ticket_;
  }
  files_.cancel(ticket);
}

void WaitingLocks::add(std::shared_ptr<WaitingLock> waiting) {
  bool ended = false;
  {
    std::lock_guard lock(mutex_);
    ended = ended_;
    if (!ended) locks_.insert(waiting);
  }
  if (ended) waiting->interrupt();
}

void WaitingLocks::remove(const std::shared_ptr<WaitingLock>& waiting) {
  std::lock_guard lock(mutex_);
  locks_.erase(waiting);
}

void WaitingLocks::end() {
  std::unordered_set<std::shared_ptr<WaitingLock>> locks;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    locks.swap(locks_);
  }
  for (const auto& waiting : locks) waiting->interrupt();
}

}  // namespace shima
