// Requests about directories' contents. A cookie of the volume is FUSE's offset: it stays valid whatever
// happens to the directory meanwhile, so a reader sees each entry that is there all the time exactly once
// (POSIX readdir).
#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::DirectoryEntry;
using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr size_t kLargestListing = 1 << 20;  // bytes
constexpr size_t kSmallestEntry = 32;        // of fuse_dirent with a short name, padded

// A listing as the kernel reads it, up to `capacity` bytes.
class Listing {
 public:
  Listing(const ReplyPtr& reply, size_t capacity, bool with_attributes)
      : reply_(reply), bytes_(std::min(capacity, kLargestListing)), with_attributes_(with_attributes) {}

  // False: it does not fit.
  bool add(const DirectoryEntry& entry) {
    const size_t needed = with_attributes_ ? add_with_attributes(entry) : add_plain(entry);
    if (needed > bytes_.size() - used_) return false;
    used_ += needed;
    return true;
  }
  const std::vector<char>& bytes() const { return bytes_; }
  size_t used() const { return used_; }

 private:
  size_t add_plain(const DirectoryEntry& entry) {
    struct stat stat {};
    stat.st_ino = entry.inode();
    stat.st_mode = type_bits(entry.type());
    return fuse_add_direntry(reply_->request(), bytes_.data() + used_, bytes_.size() - used_,
                             entry.name().c_str(), &stat, static_cast<off_t>(entry.cookie()));
  }
  size_t add_with_attributes(const DirectoryEntry& entry) {
    fuse_entry_param param{};
    const bool dot = entry.name() == "." || entry.name() == "..";
    if (!dot && to_stat(entry.attributes(), param.attr)) {
      param.ino = node_of(entry.inode());
      param.generation = 1;
      param.attr_timeout = param.entry_timeout = reply_->server().timeout_s();
    } else {  // node 0: "look it up yourself"
      param.attr.st_ino = entry.inode();
      param.attr.st_mode = type_bits(entry.type());
    }
    return fuse_add_direntry_plus(reply_->request(), bytes_.data() + used_, bytes_.size() - used_,
                                  entry.name().c_str(), &param, static_cast<off_t>(entry.cookie()));
  }

  ReplyPtr reply_;
  std::vector<char> bytes_;
  size_t used_ = 0;
  bool with_attributes_;
};

void list(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, bool with_attributes) {
  const ReplyPtr reply = reply_to(request);
  if (offset < 0) return reply->error(EINVAL);
  JobRequest job = job_of(request);
  auto* read = job.mutable_read_directory();
  read->set_inode(inode_of(node));
  read->set_after(static_cast<uint64_t>(offset));
  const size_t capacity = std::min(size, kLargestListing);
  read->set_max_entries(static_cast<uint32_t>(capacity / kSmallestEntry));
  read->set_max_bytes(static_cast<uint32_t>(capacity));
  read->set_attributes(with_attributes);
  run_job(reply, std::move(job), [reply, size, with_attributes](const JobReply& answer) {
    Listing listing(reply, size, with_attributes);
    for (const DirectoryEntry& entry : answer.entries()) {
      if (!listing.add(entry)) break;
    }
    // An empty answer means the end to the kernel: it must not look so because something went wrong.
    if (listing.used() == 0 && !(answer.end() && answer.entries().empty())) return reply->error(EIO);
    reply->bytes(listing.bytes().data(), listing.used());
  });
}

void read_directory(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, fuse_file_info*) {
  list(request, node, size, offset, false);
}
void read_directory_plus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, fuse_file_info*) {
  list(request, node, size, offset, true);
}

}  // namespace

void add_directory_operations(fuse_lowlevel_ops& operations) {
  operations.readdir = read_directory;
  operations.readdirplus = read_directory_plus;
}

}  // namespace shima
