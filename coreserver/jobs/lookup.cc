// Jobs that read one inode or one name: Lookup, GetAttributes, ReadLink, GetUsage.
#include <cerrno>

#include "coreserver/jobs/entry_name.h"
#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/metadata_keys.h"
#include "coreserver/jobs/orphans.h"

namespace shima {

int run_lookup(JobRun& run, const metadata::v1::Lookup& job) {
  StoredInode* parent = nullptr;
  const int error = find_directory(run, job.parent(), job.name(), parent);
  if (parent) *run.reply.mutable_parent() = parent->attributes;
  if (error) return error;
  StoredInode* child = parent;
  if (is_dot_dot(job.name())) {
    if (parent->attributes.nlink() == 0) return run.fail(ENOENT, "the directory was removed");
    child = run.inodes.find(parent->attributes.parent());
    if (!child) {
      run.inodes.found_rot();
      return EIO;
    }
  } else if (!is_dot(job.name())) {
    const std::optional<StoredEntry> entry = run.inodes.entry(job.parent(), job.name());
    if (!entry) return run.fail(ENOENT, "there is no entry of this name");
    if (int missing = find_named(run, *entry, child)) return missing;
  }
  *run.reply.mutable_attributes() = child->attributes;
  return 0;
}

int run_get_attributes(JobRun& run, const metadata::v1::GetAttributes& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  if (inode->attributes.nlink() == 0 && nobody_has_open(run, *inode)) {
    metadata::v1::Orphan& orphan = *run.reply.add_orphans();
    orphan.set_inode(job.inode());
    orphan.set_number(inode->orphan_number);
  }
  return 0;
}

int run_read_link(JobRun& run, const metadata::v1::ReadLink& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  if (!inode->is(metadata::v1::FILE_TYPE_SYMLINK))
    return run.fail(EINVAL, "only symbolic links have a target");
  const std::optional<std::string> value = run.inodes.before().get(symlink_key(job.inode()));
  std::optional<std::string> target = value ? decode_symlink(*value) : std::nullopt;
  if (!target) {
    run.inodes.found_rot();
    return EIO;
  }
  run.reply.set_data(*std::move(target));
  return 0;
}

int run_get_usage(JobRun& run, const metadata::v1::GetUsage&) {
  run.reply.mutable_usage()->set_inodes(run.inodes.counters().inodes);
  run.reply.mutable_usage()->set_max_inodes(run.context.max_inodes);
  return 0;
}

}  // namespace shima
