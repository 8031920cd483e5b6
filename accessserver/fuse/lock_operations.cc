// Requests about locks: fcntl(2) locks of processes and of open files (OFD), and flock(2). The kernel asks
// for each (POSIX_LOCKS, FLOCK_LOCKS), so they exclude across machines and sites; a signal ends waiting
// (INTERRUPT).
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;
using metadata::v1::LockRange;
using metadata::v1::LockType;

constexpr uint64_t kToTheEnd = std::numeric_limits<int64_t>::max();

LockRange range_of(const FuseServer& server, fuse_ino_t node, uint64_t owner) {
  LockRange lock;
  lock.set_inode(inode_of(node));
  lock.set_session(server.files.session());
  lock.set_owner(owner);
  lock.set_start(0);
  lock.set_end(kToTheEnd);
  return lock;
}

// False: a range that makes no sense. libfuse has turned "to the end" into l_len 0.
bool set_range(const struct flock& from, LockRange& lock) {
  if (from.l_start < 0 || from.l_len < 0) return false;
  const auto start = static_cast<uint64_t>(from.l_start);
  const auto length = static_cast<uint64_t>(from.l_len);
  if (length > 0 && length - 1 > kToTheEnd - start) return false;
  lock.set_start(start);
  lock.set_end(length == 0 ? kToTheEnd : start + length - 1);
  lock.set_pid(static_cast<uint32_t>(from.l_pid));
  return true;
}

bool set_type(short type, LockRange& lock) {
  switch (type) {
    case F_RDLCK:
      lock.set_type(metadata::v1::LOCK_TYPE_READ);
      return true;
    case F_WRLCK:
      lock.set_type(metadata::v1::LOCK_TYPE_WRITE);
      return true;
    case F_UNLCK:
      lock.set_type(metadata::v1::LOCK_TYPE_UNLOCK);
      return true;
    default:
      return false;
  }
}

void interrupted(fuse_req_t, void* waiting) { static_cast<WaitingLock*>(waiting)->interrupt(); }

// A POSIX lock that was granted. Meanwhile another thread of the process may have closed a descriptor of the
// file, after which the owner is not known any more: its last close would leave the lock.
struct Granted {
  ReplyPtr reply;
  uint64_t handle = 0;
  bool posix_lock = false;

  void answer(int error, uint64_t owner) const {
    if (error == 0 && posix_lock) reply->server().open_files.lock_asked(handle, owner);
    reply->error(error);
  }
};

void wait_for_lock(const Granted& granted, LockRange lock) {
  const ReplyPtr& reply = granted.reply;
  FuseServer& server = reply->server();
  auto waiting = std::make_shared<WaitingLock>(server.files);
  server.waiting_locks.add(waiting);
  fuse_req_interrupt_func(reply->request(), interrupted, waiting.get());
  const uint64_t owner = lock.owner();
  const uint64_t ticket = server.files.set_lock(std::move(lock), true, [granted, owner, waiting](int error) {
    // After this call none can be running, and the kernel's next INTERRUPT finds nobody.
    fuse_req_interrupt_func(granted.reply->request(), nullptr, nullptr);
    granted.reply->server().waiting_locks.remove(waiting);
    granted.answer(error, owner);
  });
  waiting->started(ticket);
}

// What a request about locks has found in its way may be a lock of a descriptor that was closed before. FUSE
// tells of the close twice: FLUSH, which close(2) waits for, and RELEASE, if it was the last one, which this
// mount may come to later than to the request. So after a FLUSH, or a RELEASE meanwhile, the request asks
// again; but not for ever.
class StaleConflict {
 public:
  explicit StaleConflict(FuseServer& server) : server_(server), newest_(server.lock_releases.newest()) {}

  // False: the conflict is real. True: `again` is called some time, 1023 ms later in all at most.
  bool ask_again(uint64_t inode, std::function<void()> again) {
    const uint64_t newest = server_.lock_releases.newest();
    if (std::exchange(newest_, newest) != newest && ++tries_ <= kMaxTries) {
      server_.lock_releases.after(inode, std::move(again));
      return true;
    }
    if (pause_ms_ > kLongestPauseMs || !server_.open_files.may_be_closing(inode)) return false;
    const uint64_t pause_ms = std::exchange(pause_ms_, pause_ms_ * 2);
    server_.pauses.post([&server = server_, inode, pause_ms, again = std::move(again)] {
      server.pauses.after(pause_ms, [&server, inode, again] { server.lock_releases.after(inode, again); });
    });
    return true;
  }

 private:
  static constexpr int kMaxTries = 8;
  static constexpr uint64_t kLongestPauseMs = 512;
  FuseServer& server_;
  uint64_t newest_;
  uint64_t pause_ms_ = 1;
  int tries_ = 0;
};
using StaleConflictPtr = std::shared_ptr<StaleConflict>;

void try_lock(const Granted& granted, const LockRange& lock, const StaleConflictPtr& stale) {
  granted.reply->server().files.set_lock(lock, false, [granted, lock, stale](int error) {
    const auto again = [granted, lock, stale] { try_lock(granted, lock, stale); };
    if (error == EAGAIN && stale->ask_again(lock.inode(), again)) return;
    granted.answer(error, lock.owner());
  });
}

void set_lock(const ReplyPtr& reply, uint64_t handle, const LockRange& lock, bool wait) {
  FuseServer& server = reply->server();
  const Granted granted{
      reply, handle,
      lock.kind() == metadata::v1::LOCK_KIND_POSIX && lock.type() != metadata::v1::LOCK_TYPE_UNLOCK};
  if (lock.type() == metadata::v1::LOCK_TYPE_UNLOCK) wait = false;
  server.lock_releases.after(lock.inode(),
                             [granted, lock, wait, stale = std::make_shared<StaleConflict>(server)] {
                               wait ? wait_for_lock(granted, lock) : try_lock(granted, lock, stale);
                             });
}

void set_posix_lock(fuse_req_t request, fuse_ino_t node, fuse_file_info* info, struct flock* wanted,
                    int wait) {
  const ReplyPtr reply = reply_to(request);
  FuseServer& server = reply->server();
  LockRange lock = range_of(server, node, info->lock_owner);
  lock.set_kind(metadata::v1::LOCK_KIND_POSIX);
  if (!set_range(*wanted, lock) || !set_type(wanted->l_type, lock)) return reply->error(EINVAL);
  if (lock.type() != metadata::v1::LOCK_TYPE_UNLOCK) server.open_files.lock_asked(info->fh, info->lock_owner);
  set_lock(reply, info->fh, lock, wait != 0);
}

void set_flock(fuse_req_t request, fuse_ino_t node, fuse_file_info* info, int operation) {
  const ReplyPtr reply = reply_to(request);
  LockRange lock = range_of(reply->server(), node, info->lock_owner);
  lock.set_kind(metadata::v1::LOCK_KIND_FLOCK);
  switch (operation & ~LOCK_NB) {
    case LOCK_SH:
      lock.set_type(metadata::v1::LOCK_TYPE_READ);
      break;
    case LOCK_EX:
      lock.set_type(metadata::v1::LOCK_TYPE_WRITE);
      break;
    case LOCK_UN:
      lock.set_type(metadata::v1::LOCK_TYPE_UNLOCK);
      break;
    default:
      return reply->error(EINVAL);
  }
  if (lock.type() != metadata::v1::LOCK_TYPE_UNLOCK) {
    reply->server().open_files.flock_asked(info->fh, info->lock_owner);
  }
  set_lock(reply, info->fh, lock, (operation & LOCK_NB) == 0);
}

void answer_test(const ReplyPtr& reply, const JobReply& answer) {
  struct flock found {};
  found.l_whence = SEEK_SET;
  found.l_type = F_UNLCK;
  if (answer.has_conflict()) {
    const LockRange& conflict = answer.conflict();
    found.l_type = conflict.type() == metadata::v1::LOCK_TYPE_READ ? F_RDLCK : F_WRLCK;
    if (conflict.end() < conflict.start()) return reply->error(EIO);
    found.l_start = static_cast<off_t>(conflict.start());
    found.l_len = conflict.end() >= kToTheEnd ? 0 : static_cast<off_t>(conflict.end() - conflict.start() + 1);
    // A process number means nothing on another machine.
    const bool here = conflict.session() == reply->server().files.session();
    found.l_pid = here ? static_cast<pid_t>(conflict.pid()) : 0;
  }
  fuse_reply_lock(reply->take(), &found);
}

void ask_for_conflict(const ReplyPtr& reply, const JobRequest& job, const StaleConflictPtr& stale) {
  run_job(reply, job, [reply, job, stale](const JobReply& answer) {
    const auto again = [reply, job, stale] { ask_for_conflict(reply, job, stale); };
    if (answer.has_conflict() && stale->ask_again(job.test_lock().lock().inode(), again)) return;
    answer_test(reply, answer);
  });
}

void test_lock(fuse_req_t request, fuse_ino_t node, fuse_file_info* info, struct flock* wanted) {
  const ReplyPtr reply = reply_to(request);
  FuseServer& server = reply->server();
  JobRequest job = job_of(request);
  LockRange& lock = *job.mutable_test_lock()->mutable_lock();
  lock = range_of(reply->server(), node, info->lock_owner);
  lock.set_kind(metadata::v1::LOCK_KIND_POSIX);
  if (!set_range(*wanted, lock) || !set_type(wanted->l_type, lock)) return reply->error(EINVAL);
  server.lock_releases.after(lock.inode(), [reply, job, stale = std::make_shared<StaleConflict>(server)] {
    ask_for_conflict(reply, job, stale);
  });
}

}  // namespace

void add_lock_operations(fuse_lowlevel_ops& operations) {
  operations.getlk = test_lock;
  operations.setlk = set_posix_lock;
  operations.flock = set_flock;
}

}  // namespace shima
