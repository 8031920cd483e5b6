// Remove: unlink(2) and rmdir(2).
#include <cerrno>

#include "coreserver/jobs/entry_name.h"
#include "coreserver/jobs/job_kinds.h"

namespace shima {
namespace {

int check_removable_name(JobRun& run, const metadata::v1::Remove& job) {
  if (!is_dot_or_dot_dot(job.name())) return 0;
  if (!job.directory()) return run.fail(EISDIR, "this entry is a directory");
  return is_dot(job.name()) ? run.fail(EINVAL, "a directory is not removed by its own name for itself")
                            : run.fail(ENOTEMPTY, "the directory is not empty");
}

int check_victim(JobRun& run, const metadata::v1::Remove& job, const StoredInode& victim) {
  if (job.directory() != victim.is_directory()) {
    return job.directory() ? run.fail(ENOTDIR, "this entry is not a directory")
                           : run.fail(EISDIR, "this entry is a directory");
  }
  return victim.entries == 0 ? 0 : run.fail(ENOTEMPTY, "the directory is not empty");
}

}  // namespace

int run_remove(JobRun& run, const metadata::v1::Remove& job) {
  StoredInode* parent = nullptr;
  const int error = find_directory(run, job.parent(), job.name(), parent);
  if (parent) *run.reply.mutable_parent() = *run.reply.mutable_parent_before() = parent->attributes;
  if (error) return error;
  if (int refused = check_removable_name(run, job)) return refused;
  const std::optional<StoredEntry> entry = run.inodes.entry(job.parent(), job.name());
  if (!entry) return run.fail(ENOENT, "there is no entry of this name");
  StoredInode* victim = nullptr;
  if (int missing = find_named(run, *entry, victim)) return missing;
  *run.reply.mutable_before() = *run.reply.mutable_attributes() = victim->attributes;
  if (int refused = check_may_take_out(run, *parent, *victim)) return refused;
  if (int refused = check_victim(run, job, *victim)) return refused;
  take_out_entry(run, *parent, job.name(), *entry);
  if (victim->is_directory()) parent->attributes.set_nlink(parent->attributes.nlink() - 1);
  drop_name(run, *victim);
  *run.reply.mutable_attributes() = victim->attributes;
  *run.reply.mutable_parent() = parent->attributes;
  return 0;
}

}  // namespace shima
