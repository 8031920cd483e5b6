// SessionLocks: file locks in the session's name: waiting, cancelling, and what becomes of them when the
// session is lost (R21).
//
// A wait is a retry with growing pauses; of waits of this session that are a circle the youngest fails with
// EDEADLK (LockWaits). When the session is lost its locks are: an owner that had one on an
// inode gets ENOLCK for new locks there until it has unlocked the whole range or released its locks (as
// close(2) does), and writes to the inode fail with EIO until then: nobody must go on writing in the belief
// that it has a lock. While the session is not trusted (SessionKeeper), writes to inodes on which it has
// locks fail with EIO too: another session may get those locks before we hear of it. Threads: the loop.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>

#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/lock_waits.h"
#include "accessserver/fileops/session_keeper.h"

namespace shima {

class SessionLocks {
 public:
  SessionLocks(FileContext& context, SessionKeeper& sessions) : context_(context), sessions_(sessions) {}

  void set_lock(uint64_t ticket, metadata::v1::LockRange lock, bool wait, FileContext::ErrorDone done);
  void cancel(uint64_t ticket);

  // Locks that come as plain jobs: fills the session in; an errno that is not 0: the job is not to run.
  int prepare(metadata::v1::JobRequest& request) const;
  void note(const metadata::v1::JobRequest& request, const metadata::v1::JobReply& reply);

  // EIO: a write to the inode might rely on a lock that is gone.
  int check_write(uint64_t inode) const;
  void session_lost();

 private:
  using Owner = std::pair<int, uint64_t>;  // kind, owner
  struct Holders {
    std::set<Owner> holding;
    std::set<Owner> lost;
  };
  struct Wait {
    metadata::v1::LockRange lock;
    FileContext::ErrorDone done;
    uint64_t pause_ms = 0;
    int given_up = 0;  // EINTR: cancelled; EDEADLK
    bool asking = false;
  };

  void ask(uint64_t ticket);
  void answered(uint64_t ticket, bool wait, const metadata::v1::JobRequest& request,
                const metadata::v1::JobReply& reply);
  void give_up(uint64_t ticket, int error);
  void end(uint64_t ticket, int error);
  void forget(uint64_t inode, Owner owner);

  FileContext& context_;
  SessionKeeper& sessions_;
  std::unordered_map<uint64_t, Holders> holders_;  // by inode
  std::unordered_map<uint64_t, Wait> waits_;       // by ticket
  LockWaits circles_;
};

}  // namespace shima
