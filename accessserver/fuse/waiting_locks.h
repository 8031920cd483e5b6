// WaitingLock: a lock request that may wait (F_SETLKW, flock without LOCK_NB), and how a signal ends it.
//
// The kernel's INTERRUPT may come on any thread: before FileSystem::set_lock has returned the ticket, while
// it waits, or when it is done. WaitingLocks knows all of them, to end them with the mount. Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "accessserver/fileops/file_system.h"

namespace shima {

class WaitingLock {
 public:
  explicit WaitingLock(FileSystem& files) : files_(files) {}

  // set_lock() returned this ticket; if it was interrupted before, it is cancelled now.
  void started(uint64_t ticket);
  // Cancelling one that is done has no effect (FileSystem::cancel).
  void interrupt();

 private:
  FileSystem& files_;
  std::mutex mutex_;
  bool started_ = false, interrupted_ = false;
  uint64_t ticket_ = 0;
};

class WaitingLocks {
 public:
  // Once end() was called, new ones are interrupted at once.
  void add(std::shared_ptr<WaitingLock> lock);
  void remove(const std::shared_ptr<WaitingLock>& lock);
  void end();

 private:
  std::mutex mutex_;
  bool ended_ = false;
  std::unordered_set<std::shared_ptr<WaitingLock>> locks_;
};

}  // namespace shima
