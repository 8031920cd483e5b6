#include "tests/posix/nfs/nfs_paths.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>
#include <vector>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

mode_t type_of(ftype3 type) {
  switch (type) {
    case NF3REG:
      return S_IFREG;
    case NF3DIR:
      return S_IFDIR;
    case NF3BLK:
      return S_IFBLK;
    case NF3CHR:
      return S_IFCHR;
    case NF3LNK:
      return S_IFLNK;
    case NF3SOCK:
      return S_IFSOCK;
    case NF3FIFO:
      return S_IFIFO;
  }
  return 0;
}

timespec timespec_of(const nfstime3& time) {
  return {static_cast<time_t>(time.seconds), static_cast<long>(time.nseconds)};
}

}  // namespace

struct stat stat_of(const fattr3& a) {
  struct stat stat {};
  stat.st_mode = type_of(a.type) | a.mode;
  stat.st_nlink = a.nlink;
  stat.st_uid = a.uid;
  stat.st_gid = a.gid;
  stat.st_size = static_cast<off_t>(a.size);
  stat.st_ino = a.fileid;
  stat.st_rdev = makedev(a.rdev.specdata1, a.rdev.specdata2);
  stat.st_atim = timespec_of(a.atime);
  stat.st_mtim = timespec_of(a.mtime);
  stat.st_ctim = timespec_of(a.ctime);
  return stat;
}

NfsPaths::Found NfsPaths::find(const std::string& path) const {
  Found found{0, base_, {}};
  std::optional<fattr3> attributes;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    NfsAnswer answer = client_.lookup(found.handle, path.substr(at, end - at));
    if (answer.status != NFS3_OK) return {errno_of_nfs(answer.status), "", {}};
    found.handle = std::move(answer.handle);
    attributes = answer.attributes;
    at = end + 1;
  }
  if (!attributes) {
    const NfsAnswer now = client_.getattr(found.handle);
    if (now.status != NFS3_OK) return {errno_of_nfs(now.status), "", {}};
    attributes = now.attributes;
  }
  found.attributes = *attributes;
  return found;
}

NfsPaths::Place NfsPaths::place(const std::string& path) const {
  if (path.empty()) return {ENOENT, "", ""};
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {0, base_, path};
  Found parent = find(path.substr(0, slash));
  // As kernels do, who know the type already.
  if (parent.error == 0 && parent.attributes.type != NF3DIR) parent.error = ENOTDIR;
  return {parent.error, std::move(parent.handle), path.substr(slash + 1)};
}

int NfsPaths::list(const std::string& path, bool plus, uint32_t count, std::string& lines) const {
  const Found found = find(path);
  if (found.error != 0) return found.error;
  const NfsListing listing = client_.list(found.handle, plus, count);
  if (listing.status != NFS3_OK) return errno_of_nfs(listing.status);
  std::vector<std::string> each;
  for (const NfsEntry& entry : listing.entries) {
    const std::string text = entry.attributes ? describe(stat_of(*entry.attributes)) : "without attributes";
    each.push_back(entry.name + (plus ? " " + text.substr(0, text.find(' ')) : ""));
  }
  lines = joined(std::move(each));
  return 0;
}

void NfsPaths::walk(const std::string& directory, const std::string& path, uint32_t count,
                    const Visit& visit) const {
  NfsListing listing = client_.list(directory, true, count);
  std::sort(listing.entries.begin(), listing.entries.end(),
            [](const NfsEntry& a, const NfsEntry& b) { return a.name < b.name; });
  for (const NfsEntry& entry : listing.entries) {
    if (entry.name == "." || entry.name == ".." || !entry.attributes) continue;
    const std::string child = path.empty() ? entry.name : path + "/" + entry.name;
    if (entry.attributes->type == NF3DIR) walk(entry.handle, child, count, visit);
    visit(child, entry);
  }
}

std::string NfsPaths::contents(const NfsEntry& file) const {
  std::string all;
  for (;;) {
    const NfsAnswer got = client_.read(file.handle, all.size(), 65536);
    if (got.status != NFS3_OK) {
      all = error_name(errno_of_nfs(got.status));
      break;
    }
    all += got.bytes;
    if (got.end || got.bytes.empty()) break;
  }
  return std::to_string(all.size()) + " bytes, hash " + std::to_string(std::hash<std::string>()(all));
}

std::map<std::string, std::string> NfsPaths::describe_tree(uint32_t count) const {
  std::map<std::string, std::string> tree;
  std::map<uint64_t, std::string> first_names;
  walk(base_, "", count, [&](const std::string& path, const NfsEntry& entry) {
    // A file's attributes are from the listing of its directory; with several names it is listed there, too.
    std::string text = describe(stat_of(*entry.attributes));
    if (entry.attributes->fileid != entry.inode) text += " with another fileid";
    if (entry.attributes->type == NF3REG) text += " " + contents(entry);
    if (entry.attributes->type == NF3LNK) text += " -> " + client_.readlink(entry.handle).bytes;
    if (entry.attributes->type != NF3DIR && entry.attributes->nlink > 1) {
      text += " same as " + first_names.try_emplace(entry.inode, path).first->second;
    }
    tree[path] = text;
  });
  return tree;
}

void NfsPaths::empty_tree() const {
  walk(base_, "", 32768, [&](const std::string& path, const NfsEntry& entry) {
    const Place at = place(path);
    if (entry.attributes->type == NF3DIR) {
      client_.rmdir(at.directory, at.name);
    } else {
      client_.remove(at.directory, at.name);
    }
  });
}

}  // namespace shima
