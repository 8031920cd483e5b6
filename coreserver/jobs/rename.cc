// Rename: renameat2(2), with its checks in Linux's order.
//
// Cookies: an entry that takes the place of another takes its cookie too, and one that stays in its directory
// keeps its own, so that reading a directory while renaming its entries ends, and shows no name twice.
#include <cerrno>

#include "coreserver/jobs/entry_name.h"
#include "coreserver/jobs/job_kinds.h"

namespace shima {
namespace {

using metadata::v1::Rename;

// Deeper trees are not made by paths; a chain of parents that is longer has a loop: rot.
constexpr int kMaxDepth = 10'000'000;

// One of the two names of a rename.
struct End {
  StoredInode* directory = nullptr;
  const std::string* name = nullptr;
  std::optional<StoredEntry> entry;
  StoredInode* inode = nullptr;  // that the entry names

  uint64_t directory_number() const { return directory->attributes.inode(); }
  bool names_directory() const { return inode && inode->is_directory(); }
};

int find_end(JobRun& run, End& end) {
  if (int error = check_name(run, *end.directory, *end.name)) return error;
  end.entry = run.inodes.entry(end.directory_number(), *end.name);
  return end.entry ? find_named(run, *end.entry, end.inode) : 0;
}

int find_directories(JobRun& run, const Rename& job, End& from, End& to) {
  const int from_error = find_directory(run, job.from_parent(), from.directory);
  if (from.directory) {
    *run.reply.mutable_from_parent() = *run.reply.mutable_from_parent_before() = from.directory->attributes;
  }
  const int to_error = find_directory(run, job.to_parent(), to.directory);
  if (to.directory)
    *run.reply.mutable_parent() = *run.reply.mutable_parent_before() = to.directory->attributes;
  return from_error ? from_error : to_error;
}

int check_dots(JobRun& run, const Rename& job) {
  if (is_dot_or_dot_dot(job.from_name())) return run.fail(EBUSY, "this entry is fixed");
  if (is_dot_or_dot_dot(job.to_name()))
    return run.fail(job.no_replace() ? EEXIST : EBUSY, "this entry is fixed");
  return 0;
}

int find_both(JobRun& run, const Rename& job, End& from, End& to) {
  if (int error = find_end(run, from)) return error;
  if (!from.entry) return run.fail(ENOENT, "there is no entry of this name");
  *run.reply.mutable_attributes() = from.inode->attributes;
  if (int error = find_end(run, to)) return error;
  if (to.entry && job.no_replace()) return run.fail(EEXIST, "there is an entry of the new name");
  if (!to.entry && job.exchange()) return run.fail(ENOENT, "there is nothing to exchange with");
  return 0;
}

// Is `directory` below `ancestor`, or it? Walks up to the root.
bool lies_in(JobRun& run, const StoredInode& directory, const StoredInode& ancestor) {
  const StoredInode* at = &directory;
  for (int depth = 0; depth < kMaxDepth; depth++) {
    if (at == &ancestor) return true;
    if (at->attributes.inode() == kRootInode || at->attributes.nlink() == 0) return false;
    const StoredInode* parent = run.inodes.find(at->attributes.parent());
    if (!parent) break;
    at = parent;
  }
  run.inodes.found_rot();
  return false;
}

int check_loops(JobRun& run, const Rename& job, const End& from, const End& to) {
  if (from.directory == to.directory) return 0;
  if (from.names_directory() && lies_in(run, *to.directory, *from.inode)) {
    return run.fail(EINVAL, "a directory cannot be moved into itself");
  }
  if (to.names_directory() && lies_in(run, *from.directory, *to.inode)) {
    return job.exchange() ? run.fail(EINVAL, "a directory cannot be moved into itself")
                          : run.fail(ENOTEMPTY, "the directory of the new name is not empty");
  }
  return 0;
}

int check_types(JobRun& run, const Rename& job, const End& from, const End& to) {
  if (job.exchange() || !to.entry) return 0;
  if (from.names_directory() && !to.names_directory())
    return run.fail(ENOTDIR, "the new name is no directory's");
  if (!from.names_directory() && to.names_directory())
    return run.fail(EISDIR, "the new name is a directory's");
  return 0;
}

// A directory that gets another parent: its ".." is written.
int check_new_parent(JobRun& run, const End& from, const End& to, const End& moved) {
  if (from.directory == to.directory || !moved.names_directory()) return 0;
  const int error = check_access(moved.inode->attributes, run.who, kMayWrite);
  return error ? run.fail(error, "no permission to write to the directory that moves") : 0;
}

int check_permissions(JobRun& run, const Rename& job, const End& from, const End& to) {
  if (int error = check_may_take_out(run, *from.directory, *from.inode)) return error;
  if (!to.entry) {
    if (int error = check_may_add(run, *to.directory)) return error;
  } else {
    if (int error = check_may_take_out(run, *to.directory, *to.inode)) return error;
  }
  if (int error = check_types(run, job, from, to)) return error;
  if (int error = check_new_parent(run, from, to, from)) return error;
  return job.exchange() ? check_new_parent(run, from, to, to) : 0;
}

int check_links(JobRun& run, const Rename& job, const End& from, const End& to) {
  if (from.directory == to.directory || from.names_directory() == to.names_directory()) return 0;
  const End& gaining = from.names_directory() ? to : from;
  if (&gaining == &from && !job.exchange()) return 0;
  if (gaining.directory->attributes.nlink() < kMaxLinks) return 0;
  return run.fail(EMLINK, "the directory has as many subdirectories as it can");
}

int check_empty(JobRun& run, const Rename& job, const End& to) {
  if (job.exchange() || !to.names_directory() || to.inode->entries == 0) return 0;
  return run.fail(ENOTEMPTY, "the directory of the new name is not empty");
}

void change_nlink(StoredInode& directory, int difference) {
  directory.attributes.set_nlink(directory.attributes.nlink() + static_cast<uint32_t>(difference));
}

// A directory goes from one parent to the other.
void move_directory(const End& moved, StoredInode& old_parent, StoredInode& new_parent) {
  if (!moved.names_directory() || &old_parent == &new_parent) return;
  change_nlink(old_parent, -1);
  change_nlink(new_parent, 1);
  moved.inode->attributes.set_parent(new_parent.attributes.inode());
}

StoredEntry with_cookie(StoredEntry entry, uint64_t cookie) {
  entry.cookie = cookie;
  return entry;
}

void exchange_names(JobRun& run, const End& from, const End& to) {
  move_directory(from, *from.directory, *to.directory);
  move_directory(to, *to.directory, *from.directory);
  run.inodes.put_entry(from.directory_number(), *from.name, with_cookie(*to.entry, from.entry->cookie));
  run.inodes.put_entry(to.directory_number(), *to.name, with_cookie(*from.entry, to.entry->cookie));
  note_entries_changed(run, *from.directory);
  if (from.directory != to.directory) note_entries_changed(run, *to.directory);
  note_change(run, *from.inode);
  note_change(run, *to.inode);
}

void replace(JobRun& run, const End& from, const End& to) {
  take_out_entry(run, *from.directory, *from.name, *from.entry);
  run.inodes.put_entry(to.directory_number(), *to.name, with_cookie(*from.entry, to.entry->cookie));
  note_entries_changed(run, *to.directory);
  if (to.names_directory()) change_nlink(*to.directory, -1);
  drop_name(run, *to.inode);
}

void move_name(JobRun& run, const End& from, const End& to) {
  if (from.directory != to.directory) {
    take_out_entry(run, *from.directory, *from.name, *from.entry);
    add_entry(run, *to.directory, *to.name, *from.entry);
    return;
  }
  run.inodes.erase_entry(from.directory_number(), *from.name, *from.entry);
  run.inodes.put_entry(to.directory_number(), *to.name, *from.entry);
  note_entries_changed(run, *to.directory);
}

void carry_out(JobRun& run, const Rename& job, const End& from, const End& to) {
  if (job.exchange()) return exchange_names(run, from, to);
  move_directory(from, *from.directory, *to.directory);
  if (to.entry) {
    replace(run, from, to);
  } else {
    move_name(run, from, to);
  }
  note_change(run, *from.inode);
}

}  // namespace

int run_rename(JobRun& run, const Rename& job) {
  End from{.name = &job.from_name()}, to{.name = &job.to_name()};
  if (job.no_replace() && job.exchange()) return run.fail(EINVAL, "an exchange replaces nothing");
  if (int error = find_directories(run, job, from, to)) return error;
  if (int error = check_dots(run, job)) return error;
  if (int error = find_both(run, job, from, to)) return error;
  if (int error = check_loops(run, job, from, to)) return error;
  if (from.inode == to.inode)
    return 0;  // two names of one file, or the same name: POSIX wants nothing to happen
  if (int error = check_permissions(run, job, from, to)) return error;
  if (int error = check_links(run, job, from, to)) return error;
  if (int error = check_empty(run, job, to)) return error;
  carry_out(run, job, from, to);
  *run.reply.mutable_attributes() = from.inode->attributes;
  *run.reply.mutable_parent() = to.directory->attributes;
  *run.reply.mutable_from_parent() = from.directory->attributes;
  return 0;
}

}  // namespace shima
