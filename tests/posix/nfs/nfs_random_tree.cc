#include "tests/posix/nfs/nfs_random_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <utility>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

bool hardlinks_are_protected() {
  int value = 0;
  std::ifstream("/proc/sys/fs/protected_hardlinks") >> value;
  return value != 0;
}

TreeLimits nfs3_limits() {
  return {.has_rename_flags = false,
          .has_files_by_mknod = false,
          .has_times_before_1970 = false,
          .has_paths = false,
          .links_by_root_only = hardlinks_are_protected(),
          .tells_long_names_first = true,
          .longest_target = 3000};  // libnfs 4 has not room for more
}

}  // namespace

NfsRandomTree::NfsRandomTree(RandomTreeOptions options, const std::vector<std::string>& servers,
                             const std::string& volume)
    : RandomTree(std::move(options), nfs3_limits()) {
  std::string base;
  for (const std::string& server : servers) {
    auto mounted = Nfs3Client::mount(server, "/" + volume);
    if (!mounted) log_.fail(mounted.status().to_string());
    clients_.push_back(std::move(*mounted));
    Nfs3Client& client = *clients_.back();
    if (base.empty()) base = client.mkdir(client.root(), base_name_, {.mode = 0777}).handle;
    if (base.empty()) log_.fail("MKDIR of " + base_name_ + ": " + client.error());
    sides_.push_back(std::make_unique<NfsTree>(client, base, random_));
  }
  if (limits_.links_by_root_only) {
    std::printf("LEFT OUT: LINK without privilege, since the reference has fs.protected_hardlinks\n");
  }
  steps_.add(5, [this] { create_unchecked(); });
  steps_.add(3, [this] { change_many(); });
  steps_.add(3, [this] { hold(); });
  steps_.add(6, [this] { use_held(); });
}

NfsRandomTree::~NfsRandomTree() {
  for (const Held& held : held_) close(held.reference);
  sides_[0]->act_as({});
  static_cast<NfsTree&>(*sides_[0]).paths().empty_tree();
  clients_[0]->rmdir(clients_[0]->root(), base_name_);
  sides_.clear();  // before the clients
}

bool NfsRandomTree::both_ways(const std::string& text, const std::vector<std::string>& touched,
                              const LocalCall& local, const NfsCall& nfs) {
  return both(
      text, touched,
      [&](TreeSide& side, std::string& value) { return local(static_cast<LocalTree&>(side), value); },
      [&](TreeSide& side, std::string& value) { return nfs(static_cast<NfsTree&>(side), value); });
}

// What is there is left as it is.
void NfsRandomTree::create_unchecked() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  both_ways(
      "CREATE UNCHECKED '" + path + "' " + octal(mode), {path, parent_of(path)},
      [&](LocalTree& tree, std::string&) {
        struct stat stat {};
        if (tree.look(path, stat) != 0) return tree.make_file(path, mode);
        return S_ISDIR(stat.st_mode) ? EISDIR : 0;
      },
      [&](NfsTree& tree, std::string&) {
        return tree.make(path, [&](const std::string& directory, const std::string& name) {
          return tree.client().create(directory, name, UNCHECKED, {.mode = mode & ~tree.umask()});
        });
      });
  note_file(path);
}

// One SETATTR for what takes several system calls.
void NfsRandomTree::change_many() {
  const std::string path = any_existing();
  if (path.empty() || model_.is_symlink(path)) return list();
  caller_ = {};
  const mode_t mode = any_mode();
  const auto uid = static_cast<uid_t>(1000 + random_.below(3)),
             gid = static_cast<gid_t>(1000 + random_.below(3));
  const bool resize = is_regular(path);
  const uint64_t size = random_.below(9000);
  const std::array<timespec, 2> times{
      {{0, UTIME_OMIT},
       {static_cast<time_t>(random_.below(4'000'000'000)), static_cast<long>(random_.below(1'000'000'000))}}};
  const auto tell_mtime = [&](TreeSide& tree, std::string& value) {
    struct stat stat {};
    if (const int error = tree.look(path, stat); error != 0) return error;
    value = std::to_string(stat.st_mtim.tv_sec) + "." + std::to_string(stat.st_mtim.tv_nsec);
    return 0;
  };
  both_ways(
      "SETATTR '" + path + "' of all", {path},
      [&](LocalTree& tree, std::string& value) {
        int error = tree.change_owner(path, uid, gid);
        if (error == 0 && resize) error = tree.change_size(path, size);
        if (error == 0) error = tree.change_mode(path, mode);
        if (error == 0) error = tree.change_times(path, times);
        return error == 0 ? tell_mtime(tree, value) : error;
      },
      [&](NfsTree& tree, std::string& value) {
        NfsSet set{.mode = mode, .uid = uid, .gid = gid};
        if (resize) set.size = size;
        set.mtime_ns = times[1].tv_sec * int64_t{1'000'000'000} + times[1].tv_nsec;
        const int error = tree.with_file(path, [&](const NfsPaths::Found& file) {
          const NfsAnswer answer = tree.client().setattr(file.handle, set);
          tree.check_carried(answer, file.handle);
          return errno_of_nfs(answer.status);
        });
        return error == 0 ? tell_mtime(tree, value) : error;
      });
}

// Handles stay while names come and go.
void NfsRandomTree::hold() {
  if (held_.size() >= 8) {
    const size_t index = random_.below(held_.size());
    close(held_[index].reference);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  Held held{.path = model_.any_path(random_)};
  if (held.path.empty()) return look();
  caller_ = {};
  both_ways(
      "keep the handle of '" + held.path + "'", {},
      [&](LocalTree& tree, std::string&) {
        return tree.as_caller([&] {
          return held.reference = openat(tree.root(), held.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        });
      },
      [&](NfsTree& tree, std::string&) {
        return tree.with_file(held.path, [&](const NfsPaths::Found& found) {
          held.handle = found.handle;
          return 0;
        });
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
  caller_ = {};
  const auto locally = [&](LocalTree& tree, std::string& value) {
    if (gone) return ESTALE;
    return tree.as_caller([&]() -> int64_t {
      const std::string path = "/proc/self/fd/" + std::to_string(held.reference);
      if (kind == 0) {
        const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
        if (file < 0) return -1;
        const ssize_t done = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        close(file);
        if (done < 0) return -1;
      }
      if (kind == 1 && truncate(path.c_str(), static_cast<off_t>(offset)) != 0) return -1;
      if (kind == 2 && chmod(path.c_str(), 0750) != 0) return -1;
      if (fstat(held.reference, &stat) != 0) return -1;
      value = describe(stat);
      return 0;
    });
  };
  both_ways(std::string(texts[kind]) + " of the held '" + held.path + "'" + (gone ? ", which is gone" : ""),
            {}, locally, [&](NfsTree& tree, std::string& value) {
              Nfs3Client& client = tree.client();
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
