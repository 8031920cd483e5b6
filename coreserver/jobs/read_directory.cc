// ReadDirectory: readdir(3); NFSv3's READDIR and READDIRPLUS.
#include <algorithm>
#include <cerrno>
#include <limits>

#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {
namespace {

using metadata::v1::DirectoryEntry;
using metadata::v1::ReadDirectory;

constexpr uint32_t kMaxEntries = 4096;
constexpr uint64_t kMaxReplyBytes = 900 * 1024;  // below a frame's and a client's MiB
constexpr uint64_t kEntryOverheadBytes = 24;     // what an entry costs a caller beside its name, about

// One reply's worth of entries.
class Listing {
 public:
  Listing(JobRun& run, const ReadDirectory& job)
      : run_(run),
        with_attributes_(job.attributes()),
        max_entries_(job.max_entries() == 0 ? kMaxEntries : std::min(job.max_entries(), kMaxEntries)),
        max_bytes_(job.max_bytes() == 0 ? kMaxReplyBytes : job.max_bytes()) {}

  // False: the entry does not fit; nothing was added. The first one always fits.
  bool add(std::string_view name, const StoredEntry& stored) {
    DirectoryEntry entry;
    entry.set_name(name.data(), name.size());
    entry.set_inode(stored.inode);
    entry.set_cookie(stored.cookie);
    entry.set_type(stored.type);
    if (with_attributes_ && !add_attributes(stored, entry)) return false;
    const uint64_t bytes = bytes_ + name.size() + kEntryOverheadBytes;
    const uint64_t reply_bytes = reply_bytes_ + entry.ByteSizeLong() + kEntryOverheadBytes;
    const uint32_t count = static_cast<uint32_t>(run_.reply.entries_size());
    if (count > 0 && (count >= max_entries_ || bytes > max_bytes_ || reply_bytes > kMaxReplyBytes))
      return false;
    bytes_ = bytes;
    reply_bytes_ = reply_bytes;
    *run_.reply.add_entries() = std::move(entry);
    return true;
  }

 private:
  bool add_attributes(const StoredEntry& stored, DirectoryEntry& entry) {
    const StoredInode* inode = run_.inodes.find(stored.inode);
    if (!inode) {
      run_.inodes.found_rot();
      return false;
    }
    *entry.mutable_attributes() = inode->attributes;
    return true;
  }

  JobRun& run_;
  const bool with_attributes_;
  const uint32_t max_entries_;
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0, reply_bytes_ = 0;
};

// The directory itself and its parent, which are not stored as entries.
bool list_dots(const StoredInode& directory, uint64_t after, Listing& listing) {
  const metadata::v1::FileType type = metadata::v1::FILE_TYPE_DIRECTORY;
  const metadata::v1::Attributes& a = directory.attributes;
  if (after < kSelfCookie && !listing.add(".", {a.inode(), type, kSelfCookie})) return false;
  return after >= kParentCookie || listing.add("..", {a.parent(), type, kParentCookie});
}

// True: there are no more entries.
bool list_entries(JobRun& run, uint64_t directory, uint64_t after, Listing& listing) {
  if (after == std::numeric_limits<uint64_t>::max()) return true;
  bool end = true;
  const std::string from = cookie_key(directory, std::max(after, kParentCookie) + 1);
  std::string name;
  run.inodes.before().scan(cookie_prefix(directory), from, [&](std::string_view key, std::string_view value) {
    const std::optional<StoredEntry> entry = decode_cookie_entry(last_number(key), value, name);
    if (!entry) run.inodes.found_rot();
    return end = entry && listing.add(name, *entry);
  });
  return end;
}

}  // namespace

int run_read_directory(JobRun& run, const ReadDirectory& job) {
  StoredInode* directory = nullptr;
  if (int error = find_inode(run, job.inode(), directory)) return error;
  *run.reply.mutable_attributes() = directory->attributes;
  if (!directory->is_directory()) return run.fail(ENOTDIR, "only directories are listed");
  if (int error = check_access(directory->attributes, run.who, kMayRead)) {
    return run.fail(error, "no permission to read the directory");
  }
  if (directory->attributes.nlink() == 0) return run.fail(ENOENT, "the directory was removed");
  Listing listing(run, job);
  run.reply.set_end(list_dots(*directory, job.after(), listing) &&
                    list_entries(run, job.inode(), job.after(), listing));
  return 0;
}

}  // namespace shima
