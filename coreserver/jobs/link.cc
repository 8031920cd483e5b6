// Link: link(2).
#include <cerrno>

#include "coreserver/jobs/entry_name.h"
#include "coreserver/jobs/job_kinds.h"

namespace shima {
namespace {

int check_linkable(JobRun& run, const StoredInode& inode) {
  if (inode.is_directory()) return run.fail(EPERM, "directories have one name");
  if (inode.attributes.nlink() == 0) return run.fail(ENOENT, "the file was removed");
  if (inode.attributes.nlink() >= kMaxLinks) return run.fail(EMLINK, "the file has as many names as it can");
  return 0;
}

}  // namespace

int run_link(JobRun& run, const metadata::v1::Link& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  StoredInode* parent = nullptr;
  const int error = find_directory(run, job.parent(), job.name(), parent);
  if (parent) *run.reply.mutable_parent() = *run.reply.mutable_parent_before() = parent->attributes;
  if (error) return error;
  if (is_dot_or_dot_dot(job.name()) || run.inodes.entry(job.parent(), job.name())) {
    return run.fail(EEXIST, "there is an entry of this name");
  }
  if (int refused = check_may_add(run, *parent)) return refused;
  if (int refused = check_linkable(run, *inode)) return refused;
  note_change(run, *inode);
  inode->attributes.set_nlink(inode->attributes.nlink() + 1);
  add_entry(run, *parent, job.name(), {.inode = job.inode(), .type = inode->attributes.type()});
  *run.reply.mutable_attributes() = inode->attributes;
  *run.reply.mutable_parent() = parent->attributes;
  return 0;
}

}  // namespace shima
