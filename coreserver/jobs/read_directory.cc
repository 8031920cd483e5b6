// ReadDirectory: readdir(3); NFSv3's READDIR and READDIRPLUS.
#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {
namespace {

using metadata::v1::DirectoryEntry;
using metadata::v1::ReadDirectory;

constexpr uint32_t kMaxEntries = 4096;
constexpr uint64_t kMaxReplyBytes = 900 * 1024;  // below a frame's and a client's MiB
constexpr uint64_t kEntryOverheadBytes = 24;     // what an entry costs a caller beside its name, about

constexpr size_t kAhead = 128;          // entries that are held while their inodes are looked up together
constexpr uint64_t kMaxSparseness = 4;  // inode numbers looked at, for each one that is wanted

// Attributes of many inodes: one scan where their numbers lie close together, as those of files made one
// after another do; a look-up in a large store costs several times as much as the next step of a scan.
class AttributesOfMany {
 public:
  explicit AttributesOfMany(JobRun& run) : run_(run) {}

  void load(std::vector<uint64_t> numbers) {
    found_.clear();
    std::ranges::sort(numbers);
    if (numbers.size() < 2) return;
    const uint64_t first = numbers.front(), last = numbers.back();
    if (last - first >= numbers.size() * kMaxSparseness) return;
    found_.reserve(numbers.size());
    auto wanted = numbers.begin();
    run_.inodes.before().scan(inode_prefix(), inode_key(first),
                              [&](std::string_view key, std::string_view value) {
                                const uint64_t number = last_number(key);
                                wanted = std::lower_bound(wanted, numbers.end(), number);
                                if (wanted == numbers.end()) return false;
                                if (*wanted == number) keep(number, value);
                                return number < last;
                              });
  }

  // False: the inode is not there, or rotten.
  bool take(uint64_t number, metadata::v1::Attributes& attributes) {
    auto found = std::ranges::lower_bound(found_, number, {}, &metadata::v1::Attributes::inode);
    if (found != found_.end() && found->inode() == number) {
      attributes.CopyFrom(*found);
      return true;
    }
    const StoredInode* inode = run_.inodes.find(number);
    if (!inode) return false;
    attributes = inode->attributes;
    return true;
  }

 private:
  void keep(uint64_t number, std::string_view value) {
    std::optional<StoredInode> inode = decode_inode(number, value);
    if (inode) found_.push_back(std::move(inode->attributes));  // rot: take() finds it again, and says so
  }

  JobRun& run_;
  std::vector<metadata::v1::Attributes> found_;  // by number
};

// One reply's worth of entries.
class Listing {
 public:
  Listing(JobRun& run, const ReadDirectory& job)
      : run_(run),
        attributes_(run),
        with_attributes_(job.attributes()),
        max_entries_(job.max_entries() == 0 ? kMaxEntries : std::min(job.max_entries(), kMaxEntries)),
        max_bytes_(job.max_bytes() == 0 ? kMaxReplyBytes : job.max_bytes()) {}

  // False: there is no more room, or something is wrong. The first entry always fits.
  bool add(std::string_view name, const StoredEntry& stored) {
    held_.push_back({std::string(name), stored});
    held_bytes_ += name.size() + kEntryOverheadBytes;
    const size_t count = static_cast<size_t>(run_.reply.entries_size()) + held_.size();
    const bool full = count > max_entries_ || bytes_ + held_bytes_ > max_bytes_;
    return full || !with_attributes_ || held_.size() >= kAhead ? flush() : true;
  }

  // Adds what is held. False: not all of it fits.
  bool flush() {
    if (with_attributes_) {
      std::vector<uint64_t> numbers;
      for (const Held& held : held_) numbers.push_back(held.stored.inode);
      attributes_.load(std::move(numbers));
    }
    bool fits = true;
    for (auto held = held_.begin(); fits && held != held_.end(); ++held) fits = put(held->name, held->stored);
    held_.clear();
    held_bytes_ = 0;
    return fits;
  }

 private:
  struct Held {
    std::string name;
    StoredEntry stored;
  };

  // False: the entry does not fit; nothing was added.
  bool put(std::string_view name, const StoredEntry& stored) {
    const int count = run_.reply.entries_size();
    DirectoryEntry& entry = *run_.reply.add_entries();
    entry.set_name(name.data(), name.size());
    entry.set_inode(stored.inode);
    entry.set_cookie(stored.cookie);
    entry.set_type(stored.type);
    const bool intact = !with_attributes_ || attributes_.take(stored.inode, *entry.mutable_attributes());
    if (!intact) run_.inodes.found_rot();
    const uint64_t bytes = bytes_ + name.size() + kEntryOverheadBytes;
    const uint64_t reply_bytes = reply_bytes_ + entry.ByteSizeLong() + kEntryOverheadBytes;
    const bool full = count > 0 && (static_cast<uint32_t>(count) >= max_entries_ || bytes > max_bytes_ ||
                                    reply_bytes > kMaxReplyBytes);
    if (!intact || full) {
      run_.reply.mutable_entries()->RemoveLast();
      return false;
    }
    bytes_ = bytes;
    reply_bytes_ = reply_bytes;
    return true;
  }

  JobRun& run_;
  AttributesOfMany attributes_;
  const bool with_attributes_;
  const uint32_t max_entries_;
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0, reply_bytes_ = 0;
  std::vector<Held> held_;
  uint64_t held_bytes_ = 0;
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
  if (after == std::numeric_limits<uint64_t>::max()) return listing.flush();
  bool end = true;
  const std::string from = cookie_key(directory, std::max(after, kParentCookie) + 1);
  std::string name;
  run.inodes.before().scan(cookie_prefix(directory), from, [&](std::string_view key, std::string_view value) {
    const std::optional<StoredEntry> entry = decode_cookie_entry(last_number(key), value, name);
    if (!entry) run.inodes.found_rot();
    return end = entry && listing.add(name, *entry);
  });
  return listing.flush() && end;
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
