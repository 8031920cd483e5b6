#include "tests/posix/nfs/nfs_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

bool differ(const timespec& a, const timespec& b) { return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec; }

}  // namespace

void NfsTree::act_as(const TreeCaller& caller) {
  caller_ = caller;
  client().act_as({caller.uid, caller.gid, caller.groups});
}

void NfsTree::check_carried(const NfsAnswer& answer, const std::string& handle) {
  const std::string& object = handle.empty() ? answer.handle : handle;
  if (answer.status != NFS3_OK || !answer.attributes || object.empty()) return;
  const NfsAnswer now = client().getattr(object);
  if (now.status != NFS3_OK) {
    wrong_ = "GETATTR of what was answered: nfsstat3 " + std::to_string(now.status);
    return;
  }
  const struct stat carried = stat_of(*answer.attributes), shown = stat_of(*now.attributes);
  if (describe(carried) != describe(shown) || carried.st_ino != shown.st_ino ||
      differ(carried.st_mtim, shown.st_mtim) || differ(carried.st_ctim, shown.st_ctim)) {
    wrong_ = "the answer carries: " + describe(carried) + " -- GETATTR shows: " + describe(shown) +
             (differ(carried.st_mtim, shown.st_mtim) ? ", mtime differs" : "") +
             (differ(carried.st_ctim, shown.st_ctim) ? ", ctime differs" : "");
  }
}

int NfsTree::with_file(const std::string& path, const std::function<int(const NfsPaths::Found&)>& use) const {
  const NfsPaths::Found file = paths_.find(path);
  return file.error != 0 ? file.error : use(file);
}

// As clients' kernels do before they read or write.
int NfsTree::may(const std::string& handle, uint32_t wanted) const {
  const NfsAnswer answer = client().access(handle, wanted);
  if (answer.status != NFS3_OK) return errno_of_nfs(answer.status);
  return answer.word == wanted ? 0 : EACCES;
}

int NfsTree::make(
    const std::string& path,
    const std::function<NfsAnswer(const std::string& directory, const std::string& name)>& create) {
  const NfsPaths::Place place = paths_.place(path);
  if (place.error != 0) return place.error;
  const NfsAnswer answer = create(place.directory, place.name);
  check_carried(answer);
  return errno_of_nfs(answer.status);
}

int NfsTree::make_file(const std::string& path, mode_t mode) {
  const NfsSet set{.mode = mode & ~umask()};
  const bool exclusive = random_.one_in(2);
  return make(path, [&](const std::string& directory, const std::string& name) {
    return exclusive ? create_exclusively(directory, name, set)
                     : client().create(directory, name, GUARDED, set);
  });
}

NfsAnswer NfsTree::create_exclusively(const std::string& directory, const std::string& name,
                                      const NfsSet& set) {
  const uint64_t verifier = random_.next();
  NfsAnswer made = client().create(directory, name, EXCLUSIVE, {}, verifier);
  if (made.status != NFS3_OK) return made;
  if (random_.one_in(2)) {  // as if the answer had been lost
    const NfsAnswer again = client().create(directory, name, EXCLUSIVE, {}, verifier);
    if (again.status != NFS3_OK || again.handle != made.handle) {
      wrong_ = "CREATE EXCLUSIVE again: nfsstat3 " + std::to_string(again.status);
    }
  }
  const NfsAnswer changed = client().setattr(made.handle, set);
  made.status = changed.status;
  made.attributes = changed.attributes;
  return made;
}

int NfsTree::make_directory(const std::string& path, mode_t mode) {
  return make(path, [&](const std::string& directory, const std::string& name) {
    // mkdir(2) knows no set-id bits.
    return client().mkdir(directory, name, {.mode = mode & ~umask() & 01777});
  });
}

int NfsTree::make_symlink(const std::string& path, const std::string& target) {
  return make(path, [&](const std::string& directory, const std::string& name) {
    return client().symlink(directory, name, target);
  });
}

int NfsTree::make_node(const std::string& path, mode_t mode, TreeDevice device) {
  const ftype3 type = S_ISFIFO(mode) ? NF3FIFO : S_ISSOCK(mode) ? NF3SOCK : S_ISCHR(mode) ? NF3CHR : NF3BLK;
  return make(path, [&](const std::string& directory, const std::string& name) {
    return client().mknod(directory, name, type, {.mode = mode & 07777 & ~umask()}, device.major,
                          device.minor);
  });
}

int NfsTree::make_link(const std::string& from, const std::string& to) {
  return with_file(from, [&](const NfsPaths::Found& file) {
    const NfsPaths::Place place = paths_.place(to);
    if (place.error != 0) return place.error;
    const NfsAnswer answer = client().link(file.handle, place.directory, place.name);
    check_carried(answer, file.handle);
    return errno_of_nfs(answer.status);
  });
}

int NfsTree::remove_file(const std::string& path) {
  const NfsPaths::Place place = paths_.place(path);
  return place.error != 0 ? place.error : errno_of_nfs(client().remove(place.directory, place.name).status);
}

int NfsTree::remove_directory(const std::string& path) {
  const NfsPaths::Place place = paths_.place(path);
  return place.error != 0 ? place.error : errno_of_nfs(client().rmdir(place.directory, place.name).status);
}

int NfsTree::rename(const std::string& from, const std::string& to, unsigned flags) {
  if (flags != 0) return EINVAL;  // NFSv3 has none
  const NfsPaths::Place one = paths_.place(from);
  if (one.error != 0) return one.error;
  const NfsPaths::Place other = paths_.place(to);
  if (other.error != 0) {  // kernels have asked for search in the first directory before
    const int search = may(one.directory, ACCESS3_LOOKUP);
    return search != 0 ? search : other.error;
  }
  return errno_of_nfs(client().rename(one.directory, one.name, other.directory, other.name).status);
}

int NfsTree::set(const std::string& path, const NfsSet& set) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    const NfsAnswer answer = client().setattr(file.handle, set);
    check_carried(answer, file.handle);
    return errno_of_nfs(answer.status);
  });
}

int NfsTree::change_mode(const std::string& path, mode_t mode) { return set(path, {.mode = mode}); }

int NfsTree::change_owner(const std::string& path, uid_t uid, gid_t gid) {
  NfsSet change;
  if (uid != static_cast<uid_t>(-1)) change.uid = uid;
  if (gid != static_cast<gid_t>(-1)) change.gid = gid;
  return set(path, change);
}

int NfsTree::change_times(const std::string& path, const std::array<timespec, 2>& times) {
  // utimensat(2) does nothing then, not even look at the path.
  if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) return 0;
  NfsSet change;
  const auto put = [](const timespec& time, std::optional<int64_t>& ns, bool& now) {
    now = time.tv_nsec == UTIME_NOW;
    if (!now && time.tv_nsec != UTIME_OMIT) ns = time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
  };
  put(times[0], change.atime_ns, change.atime_now);
  put(times[1], change.mtime_ns, change.mtime_now);
  return set(path, change);
}

int NfsTree::change_size(const std::string& path, uint64_t size) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    if (const int error = may(file.handle, ACCESS3_MODIFY); error != 0) return error;
    const NfsAnswer answer = client().setattr(file.handle, {.size = size});
    check_carried(answer, file.handle);
    return errno_of_nfs(answer.status);
  });
}

int NfsTree::write(const std::string& path, const TreeWrite& write, uint64_t& written) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    if (const int error = may(file.handle, ACCESS3_MODIFY); error != 0) return error;
    if (write.empty_first) {
      const NfsAnswer emptied = client().setattr(file.handle, {.size = 0});
      if (emptied.status != NFS3_OK) return errno_of_nfs(emptied.status);
    }
    const NfsAnswer now = client().getattr(file.handle);
    if (now.status != NFS3_OK) return errno_of_nfs(now.status);
    const uint64_t offset = write.append ? now.attributes->size : write.offset;
    const NfsAnswer answer = client().write(file.handle, offset, write.bytes);
    written = answer.word;
    check_carried(answer, file.handle);
    return errno_of_nfs(answer.status);
  });
}

int NfsTree::read(const std::string& path, uint32_t count, std::string& bytes) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    if (const int error = may(file.handle, ACCESS3_READ); error != 0) return error;
    const NfsAnswer got = client().read(file.handle, 0, count);
    bytes = got.bytes;
    return errno_of_nfs(got.status);
  });
}

int NfsTree::read_link(const std::string& path, std::string& target) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    const NfsAnswer got = client().readlink(file.handle);
    target = got.bytes;
    return errno_of_nfs(got.status);
  });
}

int NfsTree::list(const std::string& path, bool types, uint32_t page, std::string& lines) {
  return paths_.list(path, types, page, lines);
}

int NfsTree::look(const std::string& path, struct stat& stat) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    stat = stat_of(file.attributes);
    return 0;
  });
}

int NfsTree::access(const std::string& path, std::string& allowed) {
  return with_file(path, [&](const NfsPaths::Found& file) {
    const bool directory = file.attributes.type == NF3DIR;
    const NfsAnswer got = client().access(file.handle, 0x3f);
    if (got.status != NFS3_OK) return errno_of_nfs(got.status);
    const bool modify = (got.word & ACCESS3_MODIFY) != 0, remove = (got.word & ACCESS3_DELETE) != 0;
    if ((got.word & ACCESS3_READ) != 0) allowed += "r";
    if (modify) allowed += "w";
    if ((got.word & (directory ? ACCESS3_LOOKUP : ACCESS3_EXECUTE)) != 0) allowed += "x";
    if (((got.word & ACCESS3_EXTEND) != 0) != modify || (directory && remove != modify)) {
      wrong_ = "ACCESS " + std::to_string(got.word);
    }
    return 0;
  });
}

std::map<std::string, std::string> NfsTree::describe_tree(uint32_t page) {
  return paths_.describe_tree(page);
}

}  // namespace shima
