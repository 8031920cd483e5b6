// The operations of RandomTree.
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tests/posix/random_tree.h"
#include "tests/posix/tree_description.h"

namespace shima {

namespace {

std::string octal(mode_t mode) {
  std::array<char, 16> text{};
  snprintf(text.data(), text.size(), "0%o", mode);
  return text.data();
}

// Does something with a file that it opens and closes.
template <typename Use>
int with_file(int root, const std::string& path, int flags, mode_t mode, Use&& use) {
  const int file = openat(root, path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, mode);
  if (file < 0) return -1;
  const int result = use(file);
  const int error = errno;
  close(file);
  errno = error;
  return result;
}

std::string absolute(int root, const std::string& path) {
  return "/proc/self/fd/" + std::to_string(root) + "/" + path;
}

}  // namespace

void RandomTree::create_file() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  int flags = O_CREAT | (random_.one_in(4) ? O_RDONLY : random_.one_in(2) ? O_WRONLY : O_RDWR);
  if (random_.one_in(2)) flags |= O_EXCL;
  if (random_.one_in(4)) flags |= O_TRUNC;
  if (random_.one_in(4)) flags |= O_NOFOLLOW;
  both("open '" + path + "' O_CREAT " + ((flags & O_EXCL) != 0 ? "O_EXCL " : "") + octal(mode), {path},
       [&](int root, std::string&) { return with_file(root, path, flags, mode, [](int) { return 0; }); });
  // What a symlink at the name leads to may have been made as well (in the same directory): ask the
  // reference.
  const std::string directory = parent_of(path);
  std::vector<std::string> made{path};
  if (model_.is_symlink(path)) {
    const std::string before = directory.empty() ? "" : directory + "/";
    for (const std::string& name : names_) made.push_back(before + name);
  }
  for (const std::string& child : made) {
    struct stat stat {};
    if (!model_.has(child) && fstatat(reference_, child.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0) {
      model_.create(child, NameModel::Kind::kOther);
    }
  }
}

void RandomTree::make_directory() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  if (both("mkdir '" + path + "' " + octal(mode), {path},
           [&](int root, std::string&) { return mkdirat(root, path.c_str(), mode); })) {
    model_.create(path, NameModel::Kind::kDirectory);
  }
}

// Targets stay inside the tree: names in the same directory only.
void RandomTree::make_symlink() {
  const std::string path = any_child();
  const std::string target =
      random_.one_in(6) ? std::string(random_.between(256, 4095), 't') : random_.pick(names_);
  if (both("symlink '" + path + "' -> '" + target.substr(0, 40) + "'", {path},
           [&](int root, std::string&) { return symlinkat(target.c_str(), root, path.c_str()); })) {
    model_.create(path, NameModel::Kind::kSymlink);
  }
}

void RandomTree::make_node() {
  const std::string path = any_child();
  const mode_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, 0};
  const mode_t mode = types[random_.below(6)] | any_mode();
  const dev_t device =
      S_ISCHR(mode) || S_ISBLK(mode) ? makedev(random_.below(4096), random_.below(1 << 20)) : 0;
  if (both("mknod '" + path + "' " + octal(mode), {path},
           [&](int root, std::string&) { return mknodat(root, path.c_str(), mode, device); })) {
    model_.create(path, NameModel::Kind::kOther);
  }
}

void RandomTree::make_link() {
  const std::string from = any_existing(), to = any_child();
  if (both("link '" + from + "' '" + to + "'", {from, to},
           [&](int root, std::string&) { return linkat(root, from.c_str(), root, to.c_str(), 0); })) {
    model_.link(from, to);
  }
}

void RandomTree::remove_file() {
  const std::string path = any_existing();
  if (both("unlink '" + path + "'", {path},
           [&](int root, std::string&) { return unlinkat(root, path.c_str(), 0); })) {
    model_.remove(path);
  }
}

void RandomTree::remove_directory() {
  const std::string path = random_.one_in(3) ? any_existing() : model_.any_directory(random_);
  if (path.empty()) return list();
  if (both("rmdir '" + path + "'", {path, parent_of(path)},
           [&](int root, std::string&) { return unlinkat(root, path.c_str(), AT_REMOVEDIR); })) {
    model_.remove(path);
  }
}

void RandomTree::rename() {
  const std::string from = any_existing();
  const std::string to = random_.one_in(3) ? any_existing() : any_child();
  const unsigned flags = random_.one_in(6) ? RENAME_EXCHANGE : random_.one_in(5) ? RENAME_NOREPLACE : 0;
  const bool done = both("rename '" + from + "' '" + to + "'" +
                             (flags == RENAME_EXCHANGE    ? " EXCHANGE"
                              : flags == RENAME_NOREPLACE ? " NOREPLACE"
                                                          : ""),
                         {from, to, parent_of(from), parent_of(to)}, [&](int root, std::string&) {
                           // Linux answers ESTALE if only within rename(2) it finds out that the directory
                           // has moved at another machine (d_splice_alias()); a look before moves what it has
                           // cached.
                           struct stat stat {};
                           if (views_.size() > 1) {
                             fstatat(root, from.c_str(), &stat, AT_SYMLINK_NOFOLLOW);
                             fstatat(root, to.c_str(), &stat, AT_SYMLINK_NOFOLLOW);
                           }
                           return renameat2(root, from.c_str(), root, to.c_str(), flags);
                         });
  if (!done) return;
  if (flags == RENAME_EXCHANGE) {
    model_.exchange(from, to);
  } else {
    model_.rename(from, to);
  }
}

void RandomTree::change_mode() {
  const std::string path = any_existing();
  const mode_t mode = random_.one_in(3) ? any_mode() : 0777;
  both("chmod '" + path + "' " + octal(mode), {path},
       [&](int root, std::string&) { return fchmodat(root, path.c_str(), mode, 0); });
}

void RandomTree::change_owner() {
  const std::string path = any_existing();
  const uint32_t ids[] = {0, 1001, 1002, static_cast<uint32_t>(-1)};
  const uid_t uid = ids[random_.below(4)];
  // Not both -1: POSIX leaves open whether ctime changes then.
  const gid_t gid = ids[random_.below(uid == static_cast<uid_t>(-1) ? 3 : 4)];
  both("chown '" + path + "' " + std::to_string(static_cast<int>(uid)) + ":" +
           std::to_string(static_cast<int>(gid)),
       {path},
       [&](int root, std::string&) { return fchownat(root, path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW); });
}

void RandomTree::change_times() {
  const std::string path = any_existing();
  std::array<timespec, 2> times{};
  std::string text;
  for (timespec& time : times) {
    time.tv_sec = random_.one_in(4) ? -static_cast<time_t>(random_.below(1'000'000'000))
                                    : static_cast<time_t>(random_.below(4'000'000'000));
    time.tv_nsec = random_.one_in(5)   ? UTIME_NOW
                   : random_.one_in(5) ? UTIME_OMIT
                                       : static_cast<long>(random_.below(1'000'000'000));
    text += " " + std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
  }
  both("utimensat '" + path + "'" + text, {path}, [&](int root, std::string& value) {
    if (utimensat(root, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) return -1;
    struct stat stat {};
    if (fstatat(root, path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    const timespec now[] = {stat.st_atim, stat.st_mtim};
    for (size_t i = 0; i < 2; ++i) {
      if (times[i].tv_nsec == UTIME_NOW || times[i].tv_nsec == UTIME_OMIT) continue;
      value += std::to_string(now[i].tv_sec) + "." + std::to_string(now[i].tv_nsec) + " ";
    }
    return 0;
  });
}

void RandomTree::truncate() {
  const std::string path = any_existing();
  const auto size = static_cast<off_t>(random_.one_in(3) ? 0 : random_.below(9000));
  both("truncate '" + path + "' " + std::to_string(size), {path},
       [&](int root, std::string&) { return ::truncate(absolute(root, path).c_str(), size); });
}

void RandomTree::write_file() {
  const std::string path = any_existing();
  const auto offset = static_cast<off_t>(random_.one_in(2) ? 0 : random_.below(9000));
  std::array<uint8_t, 64> bytes{};
  random_.fill(bytes.data(), bytes.size());
  const int flags = O_WRONLY | (random_.one_in(3) ? O_APPEND : 0) | (random_.one_in(6) ? O_TRUNC : 0);
  both("write '" + path + "' at " + std::to_string(offset) + ((flags & O_APPEND) != 0 ? " O_APPEND" : "") +
           ((flags & O_TRUNC) != 0 ? " O_TRUNC" : ""),
       {path}, [&](int root, std::string& value) {
         // A FIFO or a device would not be this file system's business.
         struct stat stat {};
         if (fstatat(root, path.c_str(), &stat, 0) == 0 && !S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
           return 0;
         return with_file(root, path, flags, 0, [&](int file) {
           const ssize_t written = pwrite(file, bytes.data(), bytes.size(), offset);
           value = std::to_string(written);
           return written < 0 ? -1 : 0;
         });
       });
}

void RandomTree::read_file() {
  const std::string path = any_existing();
  both("read '" + path + "'", {}, [&](int root, std::string& value) {
    struct stat stat {};
    if (fstatat(root, path.c_str(), &stat, 0) == 0 && !S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
      return 0;
    return with_file(root, path, O_RDONLY, 0, [&](int file) {
      value.resize(20'000);
      const ssize_t got = pread(file, value.data(), value.size(), 0);
      value.resize(got < 0 ? 0 : static_cast<size_t>(got));
      return got < 0 ? -1 : 0;
    });
  });
}

void RandomTree::list() {
  const std::string path = random_.one_in(8) ? any_existing() : model_.any_directory(random_);
  both("list '" + path + "'", {}, [&](int root, std::string& value) {
    value = list_directory(root, path.empty() ? "." : path);
    return 0;
  });
}

void RandomTree::read_link() {
  const std::string path = any_existing();
  both("readlink '" + path + "'", {}, [&](int root, std::string& value) {
    value.resize(5000);
    const ssize_t got = readlinkat(root, path.c_str(), value.data(), value.size());
    value.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return got < 0 ? -1 : 0;
  });
}

void RandomTree::xattr() {
  const std::string path = any_existing();
  const std::string name = "user." + std::string(1, static_cast<char>('a' + random_.below(4)));
  std::string content(random_.below(random_.one_in(10) ? 1000 : 20), 'x');
  random_.fill(reinterpret_cast<uint8_t*>(content.data()), content.size());
  const uint64_t die = random_.below(4);
  const int flags = random_.one_in(3) ? XATTR_CREATE : random_.one_in(3) ? XATTR_REPLACE : 0;
  const char* texts[] = {"setxattr", "getxattr", "removexattr", "listxattr"};
  both(std::string(texts[die]) + " '" + path + "' " + name + " " + std::to_string(flags), {path},
       [&](int root, std::string& value) -> int {
         const std::string full = absolute(root, path);
         if (die == 0) return lsetxattr(full.c_str(), name.c_str(), content.data(), content.size(), flags);
         if (die == 2) return lremovexattr(full.c_str(), name.c_str());
         if (die == 3) {
           value = list_xattrs(full);
           return 0;
         }
         value.resize(2000);
         const ssize_t got = lgetxattr(full.c_str(), name.c_str(), value.data(), value.size());
         value.resize(got < 0 ? 0 : static_cast<size_t>(got));
         return got < 0 ? -1 : 0;
       });
}

// Through symlinks too, wherever they are in the path.
void RandomTree::look() {
  std::string path = model_.any_path(random_);
  if (random_.one_in(3)) path += (path.empty() ? "" : "/") + any_name();
  const int flags = random_.one_in(2) ? AT_SYMLINK_NOFOLLOW : 0;
  both("stat '" + path + "'", {}, [&](int root, std::string& value) {
    struct stat stat {};
    if (fstatat(root, path.empty() ? "." : path.c_str(), &stat, flags) != 0) return -1;
    value = describe(stat);
    return 0;
  });
}

// Files stay open while their names come and go.
void RandomTree::hold() {
  if (held_.size() >= 6) {
    const size_t index = random_.below(held_.size());
    log_.begin("close the held '" + held_[index].path + "'");
    if (close(held_[index].test) != 0) log_.fail("close: " + error_name(errno));
    close(held_[index].reference);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    return;
  }
  const std::string path = model_.any_path(random_);
  struct stat stat {};
  if (fstatat(reference_, path.empty() ? "." : path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(stat.st_mode)) {
    return look();
  }
  Held held{.path = path};
  who_ = {};
  both("hold '" + path + "' open", {path}, [&](int root, std::string&) {
    const int file = openat(root, path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    (root == reference_ ? held.reference : held.test) = file;
    return file < 0 ? -1 : 0;
  });
  if (held.test >= 0) held_.push_back(held);
}

void RandomTree::both_held(const std::string& text, const Held& held,
                           const std::function<int(int file, std::string&)>& call) {
  both(text + " of the held '" + held.path + "'", {}, [&](int root, std::string& value) {
    const int file = root == reference_ ? held.reference : held.test;
    if (call(file, value) < 0) return -1;
    struct stat stat {};
    if (fstat(file, &stat) != 0) return -1;
    value += describe(stat);
    return 0;
  });
}

void RandomTree::use_held() {
  if (held_.empty()) return hold();
  const Held held = random_.pick(held_);
  std::array<uint8_t, 32> bytes{};
  random_.fill(bytes.data(), bytes.size());
  const auto offset = static_cast<off_t>(random_.below(9000));
  switch (random_.below(5)) {
    case 0:
      return both_held("write", held, [&](int file, std::string&) {
        return static_cast<int>(pwrite(file, bytes.data(), bytes.size(), offset));
      });
    case 1:
      return both_held("read", held, [&](int file, std::string& value) {
        value.resize(10'000);
        const ssize_t got = pread(file, value.data(), value.size(), 0);
        value.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return static_cast<int>(got);
      });
    case 2:
      return both_held("ftruncate", held, [&](int file, std::string&) { return ftruncate(file, offset); });
    case 3:
      return both_held("fchmod", held, [&](int file, std::string&) { return fchmod(file, 0640); });
    default:
      return both_held("fstat", held, [](int, std::string&) { return 0; });
  }
}

// Names that are no names, and ends of paths that say "a directory".
void RandomTree::odd_paths() {
  const std::string path = model_.any_path(random_), other = any_existing();
  const char* ends[] = {"/", "/.", "/..", "//", ""};
  const std::string odd = (path.empty() ? std::string(".") : path) + ends[random_.below(5)];
  // What would leave the tree, or change what the model does not follow, is not tried.
  const bool leaves = odd.ends_with("..") && path.find('/') == std::string::npos;
  if (leaves || path.empty()) return list();
  const std::string below = odd.ends_with("..") ? parent_of(path) : path;
  switch (random_.below(5)) {
    case 0:
      return void(both("stat '" + odd + "'", {}, [&](int root, std::string& value) {
        struct stat stat {};
        if (fstatat(root, odd.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        value = describe(stat);
        return 0;
      }));
    case 1:
      if (both("unlink '" + odd + "'", {below},
               [&](int root, std::string&) { return unlinkat(root, odd.c_str(), 0); })) {
        model_.remove(path);
      }
      return;
    case 2:
      if (both("rmdir '" + odd + "'", {below},
               [&](int root, std::string&) { return unlinkat(root, odd.c_str(), AT_REMOVEDIR); })) {
        model_.remove(path);
      }
      return;
    case 3:
      return void(both("mkdir '" + odd + "'", {below},
                       [&](int root, std::string&) { return mkdirat(root, odd.c_str(), 0777); }));
    default:
      return void(both("open '" + odd + "' O_DIRECTORY", {}, [&](int root, std::string&) {
        return with_file(root, odd, O_RDONLY | O_DIRECTORY, 0, [](int) { return 0; });
      }));
  }
}

}  // namespace shima
