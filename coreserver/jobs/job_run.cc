#include "coreserver/jobs/job_run.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "coreserver/jobs/entry_name.h"
#include "coreserver/jobs/file_size.h"
#include "coreserver/jobs/orphans.h"

namespace shima {

int64_t change_instant(const JobRun& run, const StoredInode& inode) {
  const int64_t last = inode.attributes.ctime_ns();
  if (last == std::numeric_limits<int64_t>::max()) return last;
  const int64_t instant = std::max(run.context.now_ns, last + 1);
  // While a file is being written its ctime shows as the data groups' newest mtime, by access servers'
  // clocks: the change must come after what its caller has seen.
  const bool being_written = !inode.attributes.writers().empty();
  return being_written ? std::max(instant, plausible_time_ns(run, run.request.time_ns())) : instant;
}

int64_t note_change(JobRun& run, StoredInode& inode) {
  const int64_t instant = change_instant(run, inode);
  inode.attributes.set_ctime_ns(instant);
  inode.attributes.set_change(inode.attributes.change() + 1);
  run.inodes.changed(inode);
  return instant;
}

void note_entries_changed(JobRun& run, StoredInode& directory) {
  directory.attributes.set_mtime_ns(note_change(run, directory));
}

int find_inode(JobRun& run, uint64_t number, StoredInode*& inode) {
  inode = run.inodes.find(number);
  return inode ? 0 : run.fail(ESTALE, "there is no such inode (any more)");
}

int find_named(JobRun& run, const StoredEntry& entry, StoredInode*& inode) {
  inode = run.inodes.find(entry.inode);
  if (inode) return 0;
  run.inodes.found_rot();
  return run.fail(EIO, "a directory entry names an inode that is not there");
}

int find_directory(JobRun& run, uint64_t number, StoredInode*& directory) {
  if (int error = find_inode(run, number, directory)) return error;
  if (!directory->is_directory()) return run.fail(ENOTDIR, "names are looked up in directories only");
  const int error = check_access(directory->attributes, run.who, kMayExecute);
  return error ? run.fail(error, "no permission to search the directory") : 0;
}

int find_directory(JobRun& run, uint64_t number, std::string_view name, StoredInode*& directory) {
  if (int error = find_directory(run, number, directory)) return error;
  return check_name(run, *directory, name);
}

int check_name(JobRun& run, const StoredInode& directory, std::string_view name) {
  if (directory.attributes.nlink() == 0 && !is_dot_or_dot_dot(name))
    return run.fail(ENOENT, "the directory was removed");
  const int error = check_entry_name(name);
  return error ? run.fail(error, "a name is 1 to 255 bytes without slash and NUL") : 0;
}

int check_may_add(JobRun& run, const StoredInode& directory) {
  if (int error = check_access(directory.attributes, run.who, kMayWrite)) {
    return run.fail(error, "no permission to write to the directory");
  }
  return 0;
}

int check_may_take_out(JobRun& run, const StoredInode& directory, const StoredInode& victim) {
  if (int error = check_access(directory.attributes, run.who, kMayWrite)) {
    return run.fail(error, "no permission to write to the directory");
  }
  if (int error = check_sticky(directory.attributes, victim.attributes, run.who)) {
    return run.fail(error, "the directory is sticky and neither it nor the entry is the caller's");
  }
  return 0;
}

void add_entry(JobRun& run, StoredInode& directory, std::string_view name, StoredEntry entry) {
  entry.cookie = directory.next_cookie++;
  directory.entries++;
  directory.update_directory_size();
  note_entries_changed(run, directory);
  run.inodes.put_entry(directory.attributes.inode(), name, entry);
}

void take_out_entry(JobRun& run, StoredInode& directory, std::string_view name, const StoredEntry& entry) {
  directory.entries--;
  directory.update_directory_size();
  note_entries_changed(run, directory);
  run.inodes.erase_entry(directory.attributes.inode(), name, entry);
}

void drop_name(JobRun& run, StoredInode& inode) {
  note_change(run, inode);
  const uint32_t nlink = inode.attributes.nlink();
  inode.attributes.set_nlink(inode.is_directory() || nlink == 0 ? 0 : nlink - 1);
  if (inode.attributes.nlink() == 0) make_orphan(run, inode);
}

}  // namespace shima
