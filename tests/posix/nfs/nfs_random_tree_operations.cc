// The operations of NfsRandomTree.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tests/posix/nfs/nfs_random_tree.h"
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
  const int file = openat(root, path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, mode);
  if (file < 0) return -1;
  const int result = use(file);
  const int error = errno;
  close(file);
  errno = error;
  return result;
}

std::string path_of(int file) { return "/proc/self/fd/" + std::to_string(file); }

std::string without_types(const std::string& listing) {
  std::string out;
  for (size_t at = 0; at < listing.size();) {
    const size_t end = listing.find('\n', at);
    if (end == std::string::npos) return listing;  // an error's name
    const std::string line = listing.substr(at, end - at);
    out += line.substr(0, line.rfind(' ')) + "\n";
    at = end + 1;
  }
  return out;
}

// As clients' kernels do before they read or write.
int may(const NfsPaths& paths, const std::string& handle, uint32_t wanted) {
  const NfsAnswer answer = paths.client().access(handle, wanted);
  if (answer.status != NFS3_OK) return errno_of_nfs(answer.status);
  return answer.word == wanted ? 0 : EACCES;
}

}  // namespace

void NfsRandomTree::make(const std::string& text, const std::string& path, NameModel::Kind kind,
                         const LocalCall& local,
                         const std::function<NfsAnswer(Nfs3Client&, const NfsPaths::Place&)>& nfs) {
  const bool done =
      both(text, {path, parent_of(path)}, local, [&](const NfsPaths& paths, std::string&) -> int {
        const NfsPaths::Place place = paths.place(path);
        if (place.error != 0) return place.error;
        const NfsAnswer answer = nfs(paths.client(), place);
        check_carried(paths, answer);
        return errno_of_nfs(answer.status);
      });
  if (done && !model_.has(path)) model_.create(path, kind);
}

void NfsRandomTree::create_file() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  const bool exclusive = random_.one_in(2), repeat = random_.one_in(2);
  const uint64_t verifier = random_.next();
  const NfsSet set{.mode = mode & ~umask_};
  make((exclusive ? "CREATE EXCLUSIVE '" : "CREATE GUARDED '") + path + "' " + octal(mode), path,
       NameModel::Kind::kOther,
       [&](int root, std::string&) {
         return with_file(root, path, O_CREAT | O_EXCL | O_RDONLY, mode, [](int) { return 0; });
       },
       [&](Nfs3Client& client, const NfsPaths::Place& at) {
         if (!exclusive) return client.create(at.directory, at.name, GUARDED, set);
         NfsAnswer made = client.create(at.directory, at.name, EXCLUSIVE, {}, verifier);
         if (made.status != NFS3_OK) return made;
         if (repeat) {  // as if the answer had been lost
           const NfsAnswer again = client.create(at.directory, at.name, EXCLUSIVE, {}, verifier);
           if (again.status != NFS3_OK || again.handle != made.handle) {
             wrong_ = "CREATE EXCLUSIVE again: nfsstat3 " + std::to_string(again.status);
           }
         }
         const NfsAnswer changed = client.setattr(made.handle, set);
         made.status = changed.status;
         made.attributes = changed.attributes;
         return made;
       });
}

// UNCHECKED: what is there is left as it is.
void NfsRandomTree::open_or_create() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  make(
      "CREATE UNCHECKED '" + path + "' " + octal(mode), path, NameModel::Kind::kOther,
      [&](int root, std::string&) {
        struct stat stat {};
        if (fstatat(root, path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0) {
          errno = EISDIR;
          return S_ISDIR(stat.st_mode) ? -1 : 0;
        }
        return with_file(root, path, O_CREAT | O_EXCL | O_RDONLY, mode, [](int) { return 0; });
      },
      [&](Nfs3Client& client, const NfsPaths::Place& at) {
        return client.create(at.directory, at.name, UNCHECKED, {.mode = mode & ~umask_});
      });
}

void NfsRandomTree::make_directory() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  make(
      "MKDIR '" + path + "' " + octal(mode), path, NameModel::Kind::kDirectory,
      [&](int root, std::string&) { return mkdirat(root, path.c_str(), mode); },
      [&](Nfs3Client& client, const NfsPaths::Place& at) {
        // mkdir(2) knows no set-id bits.
        return client.mkdir(at.directory, at.name, {.mode = mode & ~umask_ & 01777});
      });
}

// Not longer than libnfs 4 has room for.
void NfsRandomTree::make_symlink() {
  const std::string path = any_child();
  const std::string target =
      random_.one_in(6) ? std::string(random_.between(256, 3000), 't') : random_.pick(names_);
  make(
      "SYMLINK '" + path + "' -> '" + target.substr(0, 40) + "'", path, NameModel::Kind::kSymlink,
      [&](int root, std::string&) { return symlinkat(target.c_str(), root, path.c_str()); },
      [&](Nfs3Client& client, const NfsPaths::Place& at) {
        return client.symlink(at.directory, at.name, target);
      });
}

void NfsRandomTree::make_node() {
  const std::string path = any_child();
  const std::array<std::pair<mode_t, ftype3>, 4> types{
      {{S_IFIFO, NF3FIFO}, {S_IFSOCK, NF3SOCK}, {S_IFCHR, NF3CHR}, {S_IFBLK, NF3BLK}}};
  const auto [format, type] = types[random_.below(types.size())];
  const mode_t mode = any_mode();
  const bool device = type == NF3CHR || type == NF3BLK;
  const auto major = static_cast<uint32_t>(device ? random_.below(4096) : 0);
  const auto minor = static_cast<uint32_t>(device ? random_.below(1 << 20) : 0);
  make(
      "MKNOD '" + path + "' " + octal(format | mode), path, NameModel::Kind::kOther,
      [&, format = format](int root, std::string&) {
        return mknodat(root, path.c_str(), format | mode, makedev(major, minor));
      },
      [&, type = type](Nfs3Client& client, const NfsPaths::Place& at) {
        return client.mknod(at.directory, at.name, type, {.mode = mode & ~umask_}, major, minor);
      });
}

void NfsRandomTree::make_link() {
  const std::string from = any_existing(), to = any_child();
  if (links_by_root_only_) who_ = {};
  const bool done = both(
      "LINK '" + from + "' '" + to + "'", {from, to},
      [&](int root, std::string&) {
        return linkat(root, from.empty() ? "." : from.c_str(), root, to.c_str(), 0);
      },
      [&](const NfsPaths& paths, std::string&) -> int {
        const NfsPaths::Found file = paths.find(from);
        if (file.error != 0) return file.error;
        const NfsPaths::Place place = paths.place(to);
        if (place.error != 0) return place.error;
        NfsAnswer answer = paths.client().link(file.handle, place.directory, place.name);
        answer.handle = file.handle;
        check_carried(paths, answer);
        return errno_of_nfs(answer.status);
      });
  if (done) model_.link(from, to);
}

void NfsRandomTree::remove_file() {
  const std::string path = any_existing();
  if (path.empty()) return list();
  if (both(
          "REMOVE '" + path + "'", {path, parent_of(path)},
          [&](int root, std::string&) { return unlinkat(root, path.c_str(), 0); },
          [&](const NfsPaths& paths, std::string&) -> int {
            const NfsPaths::Place place = paths.place(path);
            if (place.error != 0) return place.error;
            return errno_of_nfs(paths.client().remove(place.directory, place.name).status);
          })) {
    model_.remove(path);
  }
}

void NfsRandomTree::remove_directory() {
  const std::string path = random_.one_in(3) ? any_existing() : model_.any_directory(random_);
  if (path.empty()) return list();
  if (both(
          "RMDIR '" + path + "'", {path, parent_of(path)},
          [&](int root, std::string&) { return unlinkat(root, path.c_str(), AT_REMOVEDIR); },
          [&](const NfsPaths& paths, std::string&) -> int {
            const NfsPaths::Place place = paths.place(path);
            if (place.error != 0) return place.error;
            return errno_of_nfs(paths.client().rmdir(place.directory, place.name).status);
          })) {
    model_.remove(path);
  }
}

void NfsRandomTree::rename() {
  const std::string from = any_existing();
  const std::string to = random_.one_in(3) ? any_existing() : any_child();
  if (from.empty() || to.empty()) return list();
  if (both(
          "RENAME '" + from + "' '" + to + "'", {from, to, parent_of(from), parent_of(to)},
          [&](int root, std::string&) { return renameat(root, from.c_str(), root, to.c_str()); },
          [&](const NfsPaths& paths, std::string&) -> int {
            const NfsPaths::Place one = paths.place(from);
            if (one.error != 0) return one.error;
            const NfsPaths::Place other = paths.place(to);
            if (other.error != 0) {  // kernels have asked for search in the first directory before
              const int search = may(paths, one.directory, ACCESS3_LOOKUP);
              return search != 0 ? search : other.error;
            }
            return errno_of_nfs(
                paths.client().rename(one.directory, one.name, other.directory, other.name).status);
          })) {
    model_.rename(from, to);
  }
}

void NfsRandomTree::change_mode() {
  const std::string path = any_existing();
  if (model_.is_symlink(path)) return read_link();  // chmod(2) would follow it
  const mode_t mode = random_.one_in(3) ? any_mode() : 0777;
  both(
      "SETATTR '" + path + "' mode " + octal(mode), {path},
      [&](int root, std::string&) { return fchmodat(root, path.empty() ? "." : path.c_str(), mode, 0); },
      [&](const NfsPaths& paths, std::string&) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        return errno_of_nfs(paths.client().setattr(file.handle, {.mode = mode}).status);
      });
}

void NfsRandomTree::change_owner() {
  const std::string path = any_existing();
  const uint32_t ids[] = {0, 1001, 1002, static_cast<uint32_t>(-1)};
  const uid_t uid = ids[random_.below(4)];
  // Not both -1: POSIX leaves open whether ctime changes then.
  const gid_t gid = ids[random_.below(uid == static_cast<uid_t>(-1) ? 3 : 4)];
  both(
      "SETATTR '" + path + "' owner " + std::to_string(static_cast<int>(uid)) + ":" +
          std::to_string(static_cast<int>(gid)),
      {path},
      [&](int root, std::string&) {
        return fchownat(root, path.empty() ? "." : path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW);
      },
      [&](const NfsPaths& paths, std::string&) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        NfsSet set;
        if (uid != static_cast<uid_t>(-1)) set.uid = uid;
        if (gid != static_cast<gid_t>(-1)) set.gid = gid;
        return errno_of_nfs(paths.client().setattr(file.handle, set).status);
      });
}

void NfsRandomTree::change_times() {
  const std::string path = any_existing();
  std::array<timespec, 2> times{};
  std::string text;
  for (timespec& time : times) {
    time.tv_sec = static_cast<time_t>(random_.below(4'000'000'000));  // NFSv3 has no others
    time.tv_nsec = random_.one_in(5)   ? UTIME_NOW
                   : random_.one_in(5) ? UTIME_OMIT
                                       : static_cast<long>(random_.below(1'000'000'000));
    text += " " + std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
  }
  if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) return look();  // no call at all
  const auto add_set = [&](const struct stat& stat, std::string& value) {
    const timespec now[] = {stat.st_atim, stat.st_mtim};
    for (size_t i = 0; i < 2; ++i) {
      if (times[i].tv_nsec == UTIME_NOW || times[i].tv_nsec == UTIME_OMIT) continue;
      value += std::to_string(now[i].tv_sec) + "." + std::to_string(now[i].tv_nsec) + " ";
    }
  };
  both(
      "SETATTR '" + path + "' times" + text, {path},
      [&](int root, std::string& value) {
        const char* at = path.empty() ? "." : path.c_str();
        struct stat stat {};
        if (utimensat(root, at, times.data(), AT_SYMLINK_NOFOLLOW) != 0) return -1;
        if (fstatat(root, at, &stat, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        add_set(stat, value);
        return 0;
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        NfsSet set;
        const auto put = [](const timespec& time, std::optional<int64_t>& ns, bool& now) {
          now = time.tv_nsec == UTIME_NOW;
          if (!now && time.tv_nsec != UTIME_OMIT) ns = time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
        };
        put(times[0], set.atime_ns, set.atime_now);
        put(times[1], set.mtime_ns, set.mtime_now);
        const NfsAnswer answer = paths.client().setattr(file.handle, set);
        if (answer.status != NFS3_OK) return errno_of_nfs(answer.status);
        const NfsAnswer now = paths.client().getattr(file.handle);
        if (now.status != NFS3_OK) return errno_of_nfs(now.status);
        add_set(stat_of(*now.attributes), value);
        return 0;
      });
}

// One SETATTR for what takes several system calls.
void NfsRandomTree::change_many() {
  const std::string path = any_existing();
  if (path.empty() || model_.is_symlink(path)) return list();
  who_ = {};
  const mode_t mode = any_mode();
  const auto uid = static_cast<uid_t>(1000 + random_.below(3)),
             gid = static_cast<gid_t>(1000 + random_.below(3));
  const bool resize = is_regular(path);
  const uint64_t size = random_.below(9000);
  const std::array<timespec, 2> times{
      {{0, UTIME_OMIT},
       {static_cast<time_t>(random_.below(4'000'000'000)), static_cast<long>(random_.below(1'000'000'000))}}};
  const auto add_mtime = [](const struct stat& stat, std::string& value) {
    value = std::to_string(stat.st_mtim.tv_sec) + "." + std::to_string(stat.st_mtim.tv_nsec);
  };
  both(
      "SETATTR '" + path + "' of all", {path},
      [&](int root, std::string& value) {
        const char* at = path.c_str();
        if (fchownat(root, at, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        if (resize && with_file(root, path, O_WRONLY, 0,
                                [&](int file) { return ftruncate(file, static_cast<off_t>(size)); }) != 0) {
          return -1;
        }
        struct stat stat {};
        if (fchmodat(root, at, mode, 0) != 0 || utimensat(root, at, times.data(), 0) != 0) return -1;
        if (fstatat(root, at, &stat, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        add_mtime(stat, value);
        return 0;
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        NfsSet set{.mode = mode, .uid = uid, .gid = gid};
        if (resize) set.size = size;
        set.mtime_ns = times[1].tv_sec * int64_t{1'000'000'000} + times[1].tv_nsec;
        NfsAnswer answer = paths.client().setattr(file.handle, set);
        answer.handle = file.handle;
        check_carried(paths, answer);
        if (answer.status != NFS3_OK) return errno_of_nfs(answer.status);
        const NfsAnswer now = paths.client().getattr(file.handle);
        if (now.status != NFS3_OK) return errno_of_nfs(now.status);
        add_mtime(stat_of(*now.attributes), value);
        return 0;
      });
}

void NfsRandomTree::truncate() {
  const std::string path = any_existing();
  if (!is_regular(path)) return look();
  const uint64_t size = random_.one_in(3) ? 0 : random_.below(9000);
  both(
      "SETATTR '" + path + "' size " + std::to_string(size), {path},
      [&](int root, std::string&) {
        return ::truncate((path_of(root) + "/" + path).c_str(), static_cast<off_t>(size));
      },
      [&](const NfsPaths& paths, std::string&) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        if (const int error = may(paths, file.handle, ACCESS3_MODIFY); error != 0) return error;
        NfsAnswer answer = paths.client().setattr(file.handle, {.size = size});
        answer.handle = file.handle;
        check_carried(paths, answer);
        return errno_of_nfs(answer.status);
      });
}

void NfsRandomTree::write_file() {
  const std::string path = any_existing();
  if (!is_regular(path)) return list();
  const uint64_t offset = random_.one_in(2) ? 0 : random_.below(9000);
  const bool append = random_.one_in(3), empty_first = random_.one_in(6);
  std::array<uint8_t, 64> bytes{};
  random_.fill(bytes.data(), bytes.size());
  const int flags = O_WRONLY | (append ? O_APPEND : 0) | (empty_first ? O_TRUNC : 0);
  both(
      "WRITE '" + path + "' at " + std::to_string(offset) + (append ? " O_APPEND" : "") +
          (empty_first ? " O_TRUNC" : ""),
      {path},
      [&](int root, std::string& value) {
        return with_file(root, path, flags, 0, [&](int file) {
          const ssize_t written = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
          value = std::to_string(written);
          return written < 0 ? -1 : 0;
        });
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        Nfs3Client& client = paths.client();
        if (const int error = may(paths, file.handle, ACCESS3_MODIFY); error != 0) return error;
        if (empty_first) {
          const NfsAnswer emptied = client.setattr(file.handle, {.size = 0});
          if (emptied.status != NFS3_OK) return errno_of_nfs(emptied.status);
        }
        const NfsAnswer now = client.getattr(file.handle);
        if (now.status != NFS3_OK) return errno_of_nfs(now.status);
        NfsAnswer answer = client.write(file.handle, append ? now.attributes->size : offset, bytes);
        if (answer.status != NFS3_OK) return errno_of_nfs(answer.status);
        value = std::to_string(answer.word);
        answer.handle = file.handle;
        check_carried(paths, answer);
        return 0;
      });
}

void NfsRandomTree::read_file() {
  const std::string path = any_existing();
  if (!is_regular(path)) return read_link();
  constexpr uint32_t kBytes = 20'000;
  both(
      "READ '" + path + "'", {},
      [&](int root, std::string& value) {
        return with_file(root, path, O_RDONLY, 0, [&](int file) {
          value.resize(kBytes);
          const ssize_t got = pread(file, value.data(), value.size(), 0);
          value.resize(got < 0 ? 0 : static_cast<size_t>(got));
          return got < 0 ? -1 : 0;
        });
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        if (const int error = may(paths, file.handle, ACCESS3_READ); error != 0) return error;
        const NfsAnswer got = paths.client().read(file.handle, 0, kBytes);
        value = got.bytes;
        return errno_of_nfs(got.status);
      });
}

void NfsRandomTree::list() {
  const std::string path = random_.one_in(8) ? any_existing() : model_.any_directory(random_);
  if (path.empty()) who_ = {};
  const bool plus = random_.one_in(2);
  const uint32_t page = any_page();
  both(
      std::string(plus ? "READDIRPLUS '" : "READDIR '") + path + "' by " + std::to_string(page), {},
      [&](int root, std::string& value) {
        value = list_directory(root, path.empty() ? "." : path);
        if (!plus) value = without_types(value);
        return 0;
      },
      [&](const NfsPaths& paths, std::string& value) {
        value = paths.list(path, plus, page);
        return 0;
      });
}

void NfsRandomTree::read_link() {
  const std::string path = any_existing();
  both(
      "READLINK '" + path + "'", {},
      [&](int root, std::string& value) {
        value.resize(5000);
        const ssize_t got = readlinkat(root, path.empty() ? "." : path.c_str(), value.data(), value.size());
        value.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return got < 0 ? -1 : 0;
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        const NfsAnswer got = paths.client().readlink(file.handle);
        value = got.bytes;
        return errno_of_nfs(got.status);
      });
}

// ACCESS against access(2): to change a directory takes w and x.
void NfsRandomTree::ask_access() {
  const std::string path = any_existing();
  if (model_.is_symlink(path)) return read_link();
  const bool directory = model_.is_directory(path);
  both(
      "ACCESS '" + path + "'", {},
      [&](int root, std::string& value) {
        const char* at = path.empty() ? "." : path.c_str();
        if (faccessat(root, at, F_OK, AT_EACCESS) != 0) return -1;
        const bool execute = faccessat(root, at, X_OK, AT_EACCESS) == 0;
        if (faccessat(root, at, R_OK, AT_EACCESS) == 0) value += "r";
        if (faccessat(root, at, W_OK, AT_EACCESS) == 0 && (execute || !directory)) value += "w";
        if (execute) value += "x";
        return 0;
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found file = paths.find(path);
        if (file.error != 0) return file.error;
        const NfsAnswer got = paths.client().access(file.handle, 0x3f);
        if (got.status != NFS3_OK) return errno_of_nfs(got.status);
        if ((got.word & ACCESS3_READ) != 0) value += "r";
        if ((got.word & ACCESS3_MODIFY) != 0) value += "w";
        if ((got.word & (directory ? ACCESS3_LOOKUP : ACCESS3_EXECUTE)) != 0) value += "x";
        const bool remove = (got.word & ACCESS3_DELETE) != 0, modify = (got.word & ACCESS3_MODIFY) != 0;
        if (((got.word & ACCESS3_EXTEND) != 0) != modify || (directory && remove != modify)) {
          wrong_ = "ACCESS " + std::to_string(got.word);
        }
        return 0;
      });
}

void NfsRandomTree::look() {
  const std::string path = any_existing();
  both(
      "LOOKUP '" + path + "'", {},
      [&](int root, std::string& value) {
        struct stat stat {};
        if (fstatat(root, path.empty() ? "." : path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        value = describe(stat);
        return 0;
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        const NfsPaths::Found found = paths.find(path);
        if (found.error == 0) value = describe(stat_of(found.attributes));
        return found.error;
      });
}

// Handles stay while names come and go.
void NfsRandomTree::hold() {
  if (held_.size() >= 8) {
    const size_t index = random_.below(held_.size());
    close(held_[index].reference);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  const std::string path = model_.any_path(random_);
  if (path.empty()) return look();
  who_ = {};
  Held held{.path = path};
  both(
      "keep the handle of '" + path + "'", {},
      [&](int root, std::string&) {
        return held.reference = openat(root, path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
      },
      [&](const NfsPaths& paths, std::string&) {
        NfsPaths::Found found = paths.find(path);
        held.handle = std::move(found.handle);
        return found.error;
      });
  if (held.reference >= 0) held_.push_back(held);
}

void NfsRandomTree::use_held() {
  if (held_.empty()) return hold();
  const Held held = random_.pick(held_);
  struct stat stat {};
  if (fstat(held.reference, &stat) != 0) log_.fail("fstat: " + error_name(errno));
  const bool gone = stat.st_nlink == 0;
  const uint64_t kind = S_ISREG(stat.st_mode)   ? random_.below(4)
                        : S_ISLNK(stat.st_mode) ? 3
                                                : random_.between(2, 3);
  const char* texts[] = {"WRITE", "SETATTR size", "SETATTR mode", "GETATTR"};
  const uint64_t offset = random_.below(9000);
  std::array<uint8_t, 32> bytes{};
  random_.fill(bytes.data(), bytes.size());
  who_ = {};
  both(
      std::string(texts[kind]) + " of the held '" + held.path + "'" + (gone ? ", which is gone" : ""), {},
      [&](int, std::string& value) {
        const std::string path = path_of(held.reference);
        errno = ESTALE;
        if (gone) return -1;
        if (kind == 0) {
          const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
          if (file < 0) return -1;
          const ssize_t done = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
          close(file);
          if (done < 0) return -1;
        }
        if (kind == 1 && ::truncate(path.c_str(), static_cast<off_t>(offset)) != 0) return -1;
        if (kind == 2 && chmod(path.c_str(), 0750) != 0) return -1;
        if (fstat(held.reference, &stat) != 0) return -1;
        value = describe(stat);
        return 0;
      },
      [&](const NfsPaths& paths, std::string& value) -> int {
        Nfs3Client& client = paths.client();
        NfsAnswer done{.status = NFS3_OK};
        if (kind == 0) done = client.write(held.handle, offset, bytes);
        if (kind == 1) done = client.setattr(held.handle, {.size = offset});
        if (kind == 2) done = client.setattr(held.handle, {.mode = 0750});
        if (done.status != NFS3_OK) return errno_of_nfs(done.status);
        const NfsAnswer now = client.getattr(held.handle);
        if (now.status == NFS3_OK) value = describe(stat_of(*now.attributes));
        return errno_of_nfs(now.status);
      });
}

}  // namespace shima
