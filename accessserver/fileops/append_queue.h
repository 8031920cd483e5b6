// AppendQueue: appends to a file by one access server at a time, and there one after another (O_APPEND of
// POSIX.1-2017, write()).
//
// The internal lock LOCK_KIND_APPEND of the inode is taken for the first append, kept while there are more
// and for append_lock_keep_ms after the last, but given up for a moment after append_lock_max_ms when others
// may wait. It orders appends among each other; an ordinary write beyond the end, by another access server at
// the very same time, may still fall on the same bytes. Threads: the loop.
#pragma once

#include <deque>
#include <functional>
#include <unordered_map>

#include "accessserver/fileops/file_changer.h"
#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/session_keeper.h"

namespace shima {

class AppendQueue {
 public:
  AppendQueue(FileContext& context, SessionKeeper& sessions, FileChanger& changer)
      : context_(context), sessions_(sessions), changer_(changer) {}
  void append(FileChange change, FileChanger::Done done);
  void session_lost();

 private:
  enum class Lock : uint8_t { kNone, kAsking, kHeld, kGivingUp };
  struct Append {
    FileChange change;
    FileChanger::Done done;
  };
  struct Queue {
    std::deque<Append> waiting;
    Lock lock = Lock::kNone;
    bool running = false;  // one append is under way
    uint64_t held_since_ms = 0;
    uint64_t pause_ms = 0;   // before the lock is asked for again
    uint64_t idle_turn = 0;  // which timer counts
  };

  void go_on(uint64_t inode);
  void ask_for_lock(uint64_t inode, bool unlock);
  void lock_answered(uint64_t inode, uint64_t session, int error);
  void unlocked(uint64_t inode);
  void run_first(uint64_t inode, Queue& queue);
  void wait_idle(uint64_t inode, Queue& queue);
  void fail_all(uint64_t inode, int error);

  FileContext& context_;
  SessionKeeper& sessions_;
  FileChanger& changer_;
  std::unordered_map<uint64_t, Queue> queues_;  // by inode
};

}  // namespace shima
