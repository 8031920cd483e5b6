// SetAttributes: chmod(2), chown(2), utimensat(2), truncate(2), as Linux's notify_change() orders their
// checks.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "coreserver/jobs/file_size.h"
#include "coreserver/jobs/job_kinds.h"

namespace shima {
namespace {

using metadata::v1::Attributes;
using metadata::v1::Credentials;
using metadata::v1::NewAttributes;

constexpr int64_t kClockTrustNs = 24ll * 3600 * 1'000'000'000;
constexpr uint64_t kAllocationBytes = 4096;

int check_mode(JobRun& run, const StoredInode& inode, const NewAttributes& set) {
  if (!set.has_mode()) return 0;
  if (inode.is(metadata::v1::FILE_TYPE_SYMLINK))
    return run.fail(EOPNOTSUPP, "a symbolic link's mode is fixed");
  return is_owner(inode.attributes, run.who) ? 0
                                             : run.fail(EPERM, "only the owner and root may change the mode");
}

int check_owners(JobRun& run, const StoredInode& inode, const NewAttributes& set) {
  if (is_privileged(run.who)) return 0;
  const Attributes& a = inode.attributes;
  const bool owner = run.who.uid() == a.uid();
  if (set.has_uid() && !(owner && set.uid() == a.uid()))
    return run.fail(EPERM, "only root may give a file away");
  if (set.has_gid() && !(owner && (set.gid() == a.gid() || is_in_group(run.who, set.gid())))) {
    return run.fail(EPERM, "the owner may give a file to a group of his only");
  }
  return 0;
}

int check_times(JobRun& run, const StoredInode& inode, const NewAttributes& set) {
  if (is_owner(inode.attributes, run.who)) return 0;
  if (set.has_atime_ns() || set.has_mtime_ns()) {
    return run.fail(EPERM, "only the owner and root may set times of their choice");
  }
  // Setting the size asks for the same permission, and brings its own times.
  if (!set.atime_now() && !set.mtime_now()) return 0;
  // utimensat(2) of POSIX: who may only write may set both times to now, not one of them alone. A truncation
  // may bring its mtime.
  if (set.atime_now() != set.mtime_now() && !set.has_size()) {
    return run.fail(EPERM, "only the owner and root may set one of the times alone");
  }
  const int error = check_access(inode.attributes, run.who, kMayWrite);
  return error ? run.fail(error, "setting times to now needs the permission to write") : 0;
}

void apply_owners(JobRun& run, StoredInode& inode, const NewAttributes& set) {
  if (!set.has_uid() && !set.has_gid()) return;
  // Also when root does it, and when nothing becomes different: as Linux's chown(2).
  if (!inode.is_directory()) inode.attributes.set_mode(without_set_id(inode.attributes, run.who));
  if (set.has_uid()) inode.attributes.set_uid(set.uid());
  if (set.has_gid()) inode.attributes.set_gid(set.gid());
}

void apply_mode(JobRun& run, StoredInode& inode, const NewAttributes& set) {
  if (!set.has_mode()) return;
  uint32_t mode = set.mode() & 07777;
  if (!is_privileged(run.who) && !is_in_group(run.who, inode.attributes.gid())) {
    mode &= ~static_cast<uint32_t>(S_ISGID);
  }
  inode.attributes.set_mode(mode);
}

void apply_times(JobRun& run, StoredInode& inode, const NewAttributes& set, int64_t instant) {
  if (set.has_atime_ns() || set.atime_now()) {
    inode.attributes.set_atime_ns(set.has_atime_ns() ? set.atime_ns() : instant);
  }
  if (set.has_mtime_ns() || set.mtime_now()) {
    set_mtime(run, inode, set.has_mtime_ns() ? set.mtime_ns() : instant, instant);
  }
  if (set.has_ctime_ns() && run.who.checked()) {
    inode.attributes.set_ctime_ns(std::max(inode.attributes.ctime_ns(), set.ctime_ns()));
  }
}

bool sets_something(const NewAttributes& set) {
  return set.has_mode() || set.has_uid() || set.has_gid() || set.has_size() || set.has_atime_ns() ||
         set.has_mtime_ns() || set.atime_now() || set.mtime_now() || set.has_ctime_ns();
}

}  // namespace

int64_t plausible_time_ns(const JobRun& run, int64_t time_ns) {
  const int64_t now = std::min(run.context.now_ns, std::numeric_limits<int64_t>::max() - kClockTrustNs);
  return std::min(time_ns, now + kClockTrustNs);
}

int check_set_size(JobRun& run, const StoredInode& inode, uint64_t size) {
  if (inode.is_directory()) return run.fail(EISDIR, "a directory's size cannot be set");
  if (!inode.is_regular()) return run.fail(EINVAL, "only regular files have a size that can be set");
  if (size > kMaxFileBytes) return run.fail(EFBIG, "a file has at most 16 TiB");
  if (!is_owner(inode.attributes, run.who)) {
    if (int error = check_access(inode.attributes, run.who, kMayWrite)) {
      return run.fail(error, "no permission to write to the file");
    }
  }
  return inode.attributes.truncating() ? run.fail(EAGAIN, "a truncation is under way: complete it first") : 0;
}

void set_size(JobRun& run, StoredInode& inode, uint64_t size, int64_t instant) {
  Attributes& a = inode.attributes;
  if (size < a.size()) {
    a.set_truncating(true);
    a.set_truncate_sequence(a.truncate_sequence() + 1);
    a.set_truncating_from(std::max(a.high_water(), a.size()));
    a.set_high_water(std::min(a.high_water(), size));
    const uint64_t allocated = (size + kAllocationBytes - 1) / kAllocationBytes * kAllocationBytes;
    a.set_used_bytes(std::min(a.used_bytes(), allocated));
  }
  if (!a.writers().empty()) a.set_high_water(std::max(a.high_water(), size));
  a.set_size(size);
  if (!is_privileged(run.who)) a.set_mode(without_set_id(a, run.who));
  set_mtime(run, inode, instant, instant);
}

void set_mtime(JobRun& run, StoredInode& inode, int64_t mtime_ns, int64_t instant) {
  Attributes& a = inode.attributes;
  if (inode.is_regular()) {
    // Clocks of access servers may be ahead of the primary's: what they have noted so far is void, too.
    int64_t floor = std::max({a.mtime_floor_ns(), instant, plausible_time_ns(run, run.request.time_ns())});
    if (!inode.mtime_was_set) floor = std::max(floor, a.mtime_ns());
    a.set_mtime_floor_ns(floor);
    inode.mtime_was_set = true;
  }
  a.set_mtime_ns(mtime_ns);
}

int run_set_attributes(JobRun& run, const metadata::v1::SetAttributes& job) {
  const NewAttributes& set = job.set();
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  *run.reply.mutable_before() = inode->attributes;
  *run.reply.mutable_attributes() = inode->attributes;
  if (job.has_guard_ctime_ns() && job.guard_ctime_ns() != inode->attributes.ctime_ns()) {
    return run.fail(EAGAIN, "the guard does not match: the inode has changed since");
  }
  if (int error = check_mode(run, *inode, set)) return error;
  if (int error = check_owners(run, *inode, set)) return error;
  if (int error = check_times(run, *inode, set)) return error;
  if (set.has_size()) {
    if (int error = check_set_size(run, *inode, set.size())) return error;
  }
  if (!sets_something(set)) return 0;
  const int64_t instant = note_change(run, *inode);
  if (set.has_size()) set_size(run, *inode, set.size(), instant);
  apply_owners(run, *inode, set);
  apply_mode(run, *inode, set);
  apply_times(run, *inode, set, instant);
  *run.reply.mutable_attributes() = inode->attributes;
  return 0;
}

}  // namespace shima
