// SetLock, TestLock, ReleaseLocks: byte-range locks and whole-file locks (R21). Each kind has its own space.
#include <cerrno>

#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/metadata_keys.h"
#include "coreserver/jobs/stored_session.h"

namespace shima {
namespace {

using metadata::v1::LockRange;

Lock lock_of(const JobRun& run, const LockRange& range) {
  Lock lock{range.kind(),    range.type(),  range.start(), range.end(),
            range.session(), range.owner(), range.pid()};
  if (lock.session == 0) lock.session = run.request.session();
  if (lock.kind == metadata::v1::LOCK_KIND_FLOCK || lock.kind == metadata::v1::LOCK_KIND_APPEND) {
    lock.start = 0;
    lock.end = kLastByte;
  }
  return lock;
}

int check_range(JobRun& run, const Lock& lock) {
  if (!metadata::v1::LockKind_IsValid(lock.kind) || lock.kind == metadata::v1::LOCK_KIND_UNSPECIFIED) {
    return run.fail(EINVAL, "there is no such kind of lock");
  }
  if (!metadata::v1::LockType_IsValid(lock.type)) return run.fail(EINVAL, "there is no such type of lock");
  const bool good = lock.start <= lock.end && lock.end <= kLastByte;
  return good ? 0 : run.fail(EINVAL, "a lock's range begins at or before its end, which is below 2^63");
}

LockTable load_locks(JobRun& run, uint64_t inode) {
  const std::optional<std::string> value = run.inodes.before().get(locks_key(inode));
  if (!value) return {};
  std::optional<LockTable> table = LockTable::decode(*value);
  if (!table) run.inodes.found_rot();
  return table ? *std::move(table) : LockTable{};
}

// Writes what a job of `session` made of the locks of an inode.
void save_locks(JobRun& run, uint64_t inode, uint64_t session, const LockTable& before,
                const LockTable& after) {
  if (before == after) return;
  JobWrites& writes = run.inodes.writes();
  if (after.locks().empty()) {
    writes.erase(locks_key(inode));
  } else {
    writes.put(locks_key(inode), after.encode());
  }
  if (before.has_session(session) == after.has_session(session)) return;
  if (after.has_session(session)) {
    writes.put(session_locks_key(session, inode), presence_value());
  } else {
    writes.erase(session_locks_key(session, inode));
  }
}

void tell_conflict(JobRun& run, uint64_t inode, const Lock& lock) {
  LockRange& out = *run.reply.mutable_conflict();
  out.set_inode(inode);
  out.set_kind(lock.kind);
  out.set_type(lock.type);
  out.set_start(lock.start);
  out.set_end(lock.end);
  out.set_session(lock.session);
  out.set_owner(lock.owner);
  out.set_pid(lock.pid);
}

}  // namespace

int run_test_lock(JobRun& run, const metadata::v1::TestLock& job) {
  const Lock wanted = lock_of(run, job.lock());
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.lock().inode(), inode)) return error;
  if (int error = check_range(run, wanted)) return error;
  if (wanted.type == metadata::v1::LOCK_TYPE_UNLOCK)
    return run.fail(EINVAL, "unlocking is never in conflict");
  const LockTable table = load_locks(run, job.lock().inode());
  if (const Lock* conflict = table.conflict(wanted)) tell_conflict(run, job.lock().inode(), *conflict);
  return 0;
}

int run_set_lock(JobRun& run, const metadata::v1::SetLock& job) {
  const Lock wanted = lock_of(run, job.lock());
  const uint64_t number = job.lock().inode();
  if (int error = check_range(run, wanted)) return error;
  const bool unlock = wanted.type == metadata::v1::LOCK_TYPE_UNLOCK;
  StoredInode* inode = nullptr;
  if (!unlock) {
    if (int error = find_inode(run, number, inode)) return error;
    if (!is_live_session(run.inodes.before(), wanted.session)) {
      return run.fail(ENOTCONN, "the session is not open (any more): open one");
    }
  }
  const LockTable before = load_locks(run, number);
  const Lock* conflict = unlock ? nullptr : before.conflict(wanted);
  if (conflict) {
    tell_conflict(run, number, *conflict);
    return run.fail(EAGAIN, "another owner's lock is in the way");
  }
  LockTable after = before;
  if (!after.set(wanted)) return run.fail(ENOLCK, "the file has as many locks as it can");
  save_locks(run, number, wanted.session, before, after);
  return 0;
}

int run_release_locks(JobRun& run, const metadata::v1::ReleaseLocks& job) {
  const uint64_t session = job.session() != 0 ? job.session() : run.request.session();
  const LockTable before = load_locks(run, job.inode());
  LockTable after = before;
  after.release(session, job.owner(), job.kind());
  save_locks(run, job.inode(), session, before, after);
  return 0;
}

}  // namespace shima
