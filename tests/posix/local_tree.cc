#include "tests/posix/local_tree.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

const char* at(const std::string& path) { return path.empty() ? "." : path.c_str(); }

}  // namespace

bool set_groups_of_thread(const std::vector<uint32_t>& groups) {
  return syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

LocalTree::~LocalTree() { close(root_); }

std::string LocalTree::absolute(const std::string& path) const {
  return "/proc/self/fd/" + std::to_string(root_) + "/" + path;
}

int LocalTree::as_caller(const std::function<int64_t()>& call) const {
  set_groups_of_thread(caller_.groups);
  setfsgid(caller_.gid);
  setfsuid(caller_.uid);
  umask(caller_.umask);
  const int error = call() < 0 ? errno : 0;
  umask(0);
  setfsuid(0);
  setfsgid(0);
  set_groups_of_thread({});
  return error;
}

int LocalTree::with_file(const std::string& path, int flags, mode_t mode,
                         const std::function<int64_t(int)>& use) const {
  return as_caller([&]() -> int64_t {
    const int more = O_CLOEXEC | O_NONBLOCK | (how_.follows ? 0 : O_NOFOLLOW);
    const int file = openat(root_, path.c_str(), flags | more, mode);
    if (file < 0) return -1;
    const int64_t result = use(file);
    const int error = errno;
    close(file);
    errno = error;
    return result;
  });
}

// A FIFO or a device would not be this file system's business.
bool LocalTree::is_special(const std::string& path) const {
  struct stat stat {};
  return fstatat(root_, path.c_str(), &stat, how_.follows ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
         !S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode) && !S_ISLNK(stat.st_mode);
}

int LocalTree::make_file(const std::string& path, mode_t mode) {
  return with_file(path, O_CREAT | O_EXCL | O_RDONLY, mode, [](int) { return 0; });
}

int LocalTree::make_directory(const std::string& path, mode_t mode) {
  return as_caller([&] { return mkdirat(root_, path.c_str(), mode); });
}

int LocalTree::make_symlink(const std::string& path, const std::string& target) {
  return as_caller([&] { return symlinkat(target.c_str(), root_, path.c_str()); });
}

int LocalTree::make_node(const std::string& path, mode_t mode, TreeDevice device) {
  return as_caller([&] { return mknodat(root_, path.c_str(), mode, makedev(device.major, device.minor)); });
}

int LocalTree::make_link(const std::string& from, const std::string& to) {
  return as_caller([&] { return linkat(root_, at(from), root_, to.c_str(), 0); });
}

int LocalTree::remove_file(const std::string& path) {
  return as_caller([&] { return unlinkat(root_, path.c_str(), 0); });
}

int LocalTree::remove_directory(const std::string& path) {
  return as_caller([&] { return unlinkat(root_, path.c_str(), AT_REMOVEDIR); });
}

int LocalTree::rename(const std::string& from, const std::string& to, unsigned flags) {
  return as_caller([&] {
    // Linux answers ESTALE if only within rename(2) it finds out that the directory has moved at another
    // machine (d_splice_alias()); a look before moves what it has cached.
    struct stat stat {};
    if (how_.shared) {
      fstatat(root_, from.c_str(), &stat, AT_SYMLINK_NOFOLLOW);
      fstatat(root_, to.c_str(), &stat, AT_SYMLINK_NOFOLLOW);
    }
    return renameat2(root_, from.c_str(), root_, to.c_str(), flags);
  });
}

int LocalTree::change_mode(const std::string& path, mode_t mode) {
  return as_caller([&] { return fchmodat(root_, at(path), mode, 0); });
}

int LocalTree::change_owner(const std::string& path, uid_t uid, gid_t gid) {
  return as_caller([&] { return fchownat(root_, at(path), uid, gid, AT_SYMLINK_NOFOLLOW); });
}

int LocalTree::change_times(const std::string& path, const std::array<timespec, 2>& times) {
  return as_caller([&] { return utimensat(root_, at(path), times.data(), AT_SYMLINK_NOFOLLOW); });
}

int LocalTree::change_size(const std::string& path, uint64_t size) {
  return as_caller([&] { return truncate(absolute(path).c_str(), static_cast<off_t>(size)); });
}

int LocalTree::write(const std::string& path, const TreeWrite& write, uint64_t& written) {
  if (is_special(path)) return 0;
  const int flags = O_WRONLY | (write.append ? O_APPEND : 0) | (write.empty_first ? O_TRUNC : 0);
  return with_file(path, flags, 0, [&](int file) {
    const ssize_t done =
        pwrite(file, write.bytes.data(), write.bytes.size(), static_cast<off_t>(write.offset));
    written = done < 0 ? 0 : static_cast<uint64_t>(done);
    return done;
  });
}

int LocalTree::read(const std::string& path, uint32_t count, std::string& bytes) {
  if (is_special(path)) return 0;
  return with_file(path, O_RDONLY, 0, [&](int file) {
    bytes.resize(count);
    const ssize_t got = pread(file, bytes.data(), bytes.size(), 0);
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return got;
  });
}

int LocalTree::read_link(const std::string& path, std::string& target) {
  return as_caller([&] {
    target.resize(5000);
    const ssize_t got = readlinkat(root_, at(path), target.data(), target.size());
    target.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return got;
  });
}

int LocalTree::list(const std::string& path, bool types, uint32_t, std::string& lines) {
  return as_caller([&] {
    errno = list_directory(root_, at(path), types, lines);
    return errno == 0 ? 0 : -1;
  });
}

int LocalTree::look(const std::string& path, struct stat& stat) {
  return as_caller([&] { return fstatat(root_, at(path), &stat, AT_SYMLINK_NOFOLLOW); });
}

int LocalTree::access(const std::string& path, std::string& allowed) {
  return as_caller([&] {
    if (faccessat(root_, at(path), F_OK, AT_EACCESS) != 0) return -1;
    struct stat stat {};
    if (fstatat(root_, at(path), &stat, 0) != 0) return -1;
    const auto may = [&](int what) { return faccessat(root_, at(path), what, AT_EACCESS) == 0; };
    if (may(R_OK)) allowed += "r";
    if (may(W_OK) && (!S_ISDIR(stat.st_mode) || may(X_OK))) allowed += "w";
    if (may(X_OK)) allowed += "x";
    return 0;
  });
}

std::map<std::string, std::string> LocalTree::describe_tree(uint32_t) { return shima::describe_tree(root_); }

}  // namespace shima
