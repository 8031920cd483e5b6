// Requests about locks: fcntl(2) locks of processes and of open files (OFD), and flock(2). The kernel asks
// for each (POSIX_LOCKS, FLOCK_LOCKS), so they exclude across machines and sites; a signal ends waiting
// (INTERRUPT).
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <limits>
#include <memory>

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

void wait_for_lock(const ReplyPtr& reply, LockRange lock) {
  FuseServer& server = reply->server();
  auto waiting = std::make_shared<WaitingLock>(server.files);
  server.waiting_locks.add(waiting);
  fuse_req_interrupt_func(reply->request(), interrupted, waiting.get());
  const uint64_t ticket = server.files.set_lock(std::move(lock), true, [reply, waiting](int error) {
    // After this call none can be running, and the kernel's next INTERRUPT finds nobody.
    fuse_req_interrupt_func(reply->request(), nullptr, nullptr);
    reply->server().waiting_locks.remove(waiting);
    reply->error(error);
  });
  waiting->started(ticket);
}

void set_lock(const ReplyPtr& reply, LockRange lock, bool wait) {
  if (wait && lock.type() != metadata::v1::LOCK_TYPE_UNLOCK) return wait_for_lock(reply, std::move(lock));
  reply->server().files.set_lock(std::move(lock), false, [reply](int error) { reply->error(error); });
}

void set_posix_lock(fuse_req_t request, fuse_ino_t node, fuse_file_info* info, struct flock* wanted,
                    int wait) {
  const ReplyPtr reply = reply_to(request);
  FuseServer& server = reply->server();
  LockRange lock = range_of(server, node, info->lock_owner);
  lock.set_kind(metadata::v1::LOCK_KIND_POSIX);
  if (!set_range(*wanted, lock) || !set_type(wanted->l_type, lock)) return reply->error(EINVAL);
  if (lock.type() != metadata::v1::LOCK_TYPE_UNLOCK) server.open_files.lock_asked(info->fh, info->lock_owner);
  set_lock(reply, std::move(lock), wait != 0);
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
  set_lock(reply, std::move(lock), (operation & LOCK_NB) == 0);
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

void test_lock(fuse_req_t request, fuse_ino_t node, fuse_file_info* info, struct flock* wanted) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  LockRange& lock = *job.mutable_test_lock()->mutable_lock();
  lock = range_of(reply->server(), node, info->lock_owner);
  lock.set_kind(metadata::v1::LOCK_KIND_POSIX);
  if (!set_range(*wanted, lock) || !set_type(wanted->l_type, lock)) return reply->error(EINVAL);
  run_job(reply, std::move(job), [reply](const JobReply& answer) { answer_test(reply, answer); });
}

}  // namespace

void add_lock_operations(fuse_lowlevel_ops& operations) {
  operations.getlk = test_lock;
  operations.setlk = set_posix_lock;
  operations.flock = set_flock;
}

}  // namespace shima
