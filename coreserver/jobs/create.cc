// Create: open(2) with O_CREAT, mkdir(2), symlink(2), mknod(2); NFSv3's CREATE, MKDIR, SYMLINK, MKNOD.
#include <sys/stat.h>

#include <cerrno>

#include "coreserver/jobs/entry_name.h"
#include "coreserver/jobs/file_size.h"
#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {
namespace {

using metadata::v1::Attributes;
using metadata::v1::Create;
using metadata::v1::NewAttributes;

bool is_device(metadata::v1::FileType type) {
  return type == metadata::v1::FILE_TYPE_BLOCK_DEVICE || type == metadata::v1::FILE_TYPE_CHARACTER_DEVICE;
}

// The file that is there already: opened, unless the caller wanted a new one.
int open_existing(JobRun& run, const Create& job, const StoredEntry& entry) {
  StoredInode* inode = nullptr;
  if (int error = find_named(run, entry, inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  if (job.type() != metadata::v1::FILE_TYPE_REGULAR || job.how() == Create::GUARDED) {
    return run.fail(EEXIST, "there is an entry of this name");
  }
  if (job.how() == Create::EXCLUSIVE) {
    if (!inode->is_regular() || !inode->has_verifier || inode->verifier != job.verifier()) {
      return run.fail(EEXIST, "there is an entry of this name, by somebody else");
    }
    run.reply.set_created(true);  // a repetition: the answer of the first time
    return 0;
  }
  if (inode->is_directory()) return run.fail(EISDIR, "there is a directory of this name");
  if (!inode->is_regular() || !job.set().has_size()) return 0;
  if (int error = check_set_size(run, *inode, job.set().size())) return error;
  set_size(run, *inode, job.set().size(), note_change(run, *inode));
  *run.reply.mutable_attributes() = inode->attributes;
  return 0;
}

int check_new(JobRun& run, const Create& job) {
  if (!metadata::v1::FileType_IsValid(job.type()) || job.type() == metadata::v1::FILE_TYPE_UNSPECIFIED) {
    return run.fail(EINVAL, "there is no such file type");
  }
  if (is_device(job.type()) && !is_privileged(run.who)) return run.fail(EPERM, "only root may make devices");
  if (job.type() == metadata::v1::FILE_TYPE_SYMLINK) {
    if (job.target().empty()) return run.fail(ENOENT, "a symbolic link needs a target");
    if (job.target().size() > kMaxSymlinkBytes) return run.fail(ENAMETOOLONG, "the target is too long");
    if (job.target().find('\0') != std::string::npos) return run.fail(EINVAL, "the target has a NUL");
  }
  if (job.set().has_size() && job.set().size() > kMaxFileBytes)
    return run.fail(EFBIG, "a file has at most 16 TiB");
  return 0;
}

// Only root makes files that belong to others; groups as chgrp(2) would allow, or as the directory hands
// down.
int check_new_owners(JobRun& run, const Attributes& parent, const NewAttributes& set) {
  if (is_privileged(run.who)) return 0;
  if (set.has_uid() && set.uid() != run.who.uid())
    return run.fail(EPERM, "only root may make files of others");
  const bool handed_down = (parent.mode() & S_ISGID) && set.gid() == parent.gid();
  if (set.has_gid() && !handed_down && !is_in_group(run.who, set.gid())) {
    return run.fail(EPERM, "the caller does not belong to the group");
  }
  return 0;
}

int check_room(JobRun& run, const Create& job, const Attributes& parent) {
  if (job.type() == metadata::v1::FILE_TYPE_DIRECTORY && parent.nlink() >= kMaxLinks) {
    return run.fail(EMLINK, "the directory has as many subdirectories as it can");
  }
  const uint64_t limit = run.context.max_inodes;
  if (limit != 0 && run.inodes.counters().inodes >= limit) {
    return run.fail(EDQUOT, "the volume has as many inodes as its quota allows");
  }
  return 0;
}

uint32_t new_mode(const JobRun& run, const Create& job, const Attributes& parent, uint32_t gid) {
  if (job.type() == metadata::v1::FILE_TYPE_SYMLINK) return 0777;
  const bool directory = job.type() == metadata::v1::FILE_TYPE_DIRECTORY;
  uint32_t mode = job.set().has_mode() ? job.set().mode() & 07777 : (directory ? 0700 : 0600);
  if (directory) return mode | (parent.mode() & S_ISGID);
  // Nobody gets a program that runs for a group that is not his, by way of a set-gid directory (as Linux).
  const bool foreign_group = !is_privileged(run.who) && !is_in_group(run.who, gid);
  if ((mode & S_IXGRP) && foreign_group) mode &= ~static_cast<uint32_t>(S_ISGID);
  return mode;
}

void fill_new(const JobRun& run, const Create& job, const Attributes& parent, StoredInode& inode) {
  const int64_t instant = run.context.now_ns;
  const NewAttributes& set = job.set();
  Attributes& a = inode.attributes;
  const uint32_t own_gid = (parent.mode() & S_ISGID) ? parent.gid() : run.who.gid();
  a.set_type(job.type());
  a.set_uid(set.has_uid() ? set.uid() : run.who.uid());
  a.set_gid(set.has_gid() ? set.gid() : own_gid);
  a.set_mode(new_mode(run, job, parent, a.gid()));
  a.set_nlink(inode.is_directory() ? 2 : 1);
  a.set_atime_ns(set.has_atime_ns() ? set.atime_ns() : instant);
  a.set_mtime_ns(set.has_mtime_ns() ? set.mtime_ns() : instant);
  a.set_ctime_ns(instant);
  a.set_change(1);
  if (inode.is_regular()) {
    a.set_size(set.size());
    a.set_high_water(std::min(job.reserve(), kMaxFileBytes));
    a.set_mtime_floor_ns(instant);
    inode.mtime_was_set = true;
    inode.has_verifier = job.how() == Create::EXCLUSIVE;
    inode.verifier = job.verifier();
  }
  if (is_device(job.type())) {
    a.set_rdev_major(job.rdev_major());
    a.set_rdev_minor(job.rdev_minor());
  }
}

void make_new(JobRun& run, const Create& job, StoredInode& parent) {
  StoredInode& inode = run.inodes.add();
  const uint64_t number = inode.attributes.inode();
  add_entry(run, parent, job.name(), {.inode = number, .type = job.type()});
  fill_new(run, job, parent.attributes, inode);
  if (inode.is_directory()) {
    inode.attributes.set_parent(job.parent());
    inode.update_directory_size();
    parent.attributes.set_nlink(parent.attributes.nlink() + 1);
  } else if (job.type() == metadata::v1::FILE_TYPE_SYMLINK) {
    inode.attributes.set_size(job.target().size());
    run.inodes.writes().put(symlink_key(number), encode_symlink(job.target()));
  }
  *run.reply.mutable_attributes() = inode.attributes;
  run.reply.set_created(true);
}

}  // namespace

int run_create(JobRun& run, const Create& job) {
  StoredInode* parent = nullptr;
  const int error = find_directory(run, job.parent(), job.name(), parent);
  if (parent) *run.reply.mutable_parent() = *run.reply.mutable_parent_before() = parent->attributes;
  if (error) return error;
  if (!Create::Mode_IsValid(job.how())) return run.fail(EINVAL, "there is no such way to create");
  if (is_dot_or_dot_dot(job.name())) return run.fail(EEXIST, "every directory has this entry");
  if (const std::optional<StoredEntry> entry = run.inodes.entry(job.parent(), job.name())) {
    return open_existing(run, job, *entry);
  }
  if (int refused = check_may_add(run, *parent)) return refused;
  if (int refused = check_new(run, job)) return refused;
  if (int refused = check_new_owners(run, parent->attributes, job.set())) return refused;
  if (int refused = check_room(run, job, parent->attributes)) return refused;
  make_new(run, job, *parent);
  *run.reply.mutable_parent() = parent->attributes;
  return 0;
}

}  // namespace shima
