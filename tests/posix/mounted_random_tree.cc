#include "tests/posix/mounted_random_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "tests/posix/tree_description.h"

namespace shima {

MountedRandomTree::MountedRandomTree(RandomTreeOptions options, const std::vector<std::string>& directories)
    : RandomTree(std::move(options), {.has_set_id_bits = directories.size() == 1}),
      directory_(directories[0]) {
  for (const std::string& directory : directories) {
    const std::string path = directory + "/" + base_name_;
    if (sides_.empty() && mkdir(path.c_str(), 0777) != 0)
      log_.fail("mkdir " + path + ": " + error_name(errno));
    const int root = open(path.c_str(), O_RDONLY | O_DIRECTORY);
    if (root < 0) log_.fail("open " + path + ": " + error_name(errno));
    sides_.push_back(std::make_unique<LocalTree>(root, LocalTree::How{.shared = directories.size() > 1}));
  }
  steps_.add(5, [this] { open_or_create(); });
  steps_.add(5, [this] { xattr(); });
  steps_.add(4, [this] { look_through_symlinks(); });
  steps_.add(3, [this] { hold(); });
  steps_.add(5, [this] { use_held(); });
  steps_.add(2, [this] { odd_paths(); });
}

MountedRandomTree::~MountedRandomTree() {
  for (const Held& held : held_) close(held.test), close(held.reference);
  empty_tree(static_cast<LocalTree&>(*sides_[0]).root());
  sides_.clear();
  rmdir((directory_ + "/" + base_name_).c_str());
}

bool MountedRandomTree::both_locally(const std::string& text, const std::vector<std::string>& touched,
                                     const LocalCall& call) {
  return both(text, touched, [&](TreeSide& side, std::string& value) {
    const auto& tree = static_cast<LocalTree&>(side);
    return tree.as_caller([&] { return call(tree, value); });
  });
}

void MountedRandomTree::open_or_create() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  int flags = O_CREAT | (random_.one_in(4) ? O_RDONLY : random_.one_in(2) ? O_WRONLY : O_RDWR);
  if (random_.one_in(4)) flags |= O_EXCL;
  if (random_.one_in(4)) flags |= O_TRUNC;
  if (random_.one_in(4)) flags |= O_NOFOLLOW;
  both("open '" + path + "' O_CREAT " + ((flags & O_EXCL) != 0 ? "O_EXCL " : "") + octal(mode), {path},
       [&](TreeSide& side, std::string&) {
         return static_cast<LocalTree&>(side).with_file(path, flags, mode, [](int) { return 0; });
       });
  // What a symlink at the name leads to may have been made as well, in the same directory.
  if (model_.is_symlink(path)) {
    const std::string directory = parent_of(path), before = directory.empty() ? "" : directory + "/";
    for (const std::string& name : names_) note_file(before + name);
  }
  note_file(path);
}

void MountedRandomTree::xattr() {
  const std::string path = any_existing();
  const std::string name = "user." + std::string(1, static_cast<char>('a' + random_.below(4)));
  std::string content(random_.below(random_.one_in(10) ? 1000 : 20), 'x');
  random_.fill(reinterpret_cast<uint8_t*>(content.data()), content.size());
  const uint64_t die = random_.below(4);
  const int flags = random_.one_in(3) ? XATTR_CREATE : random_.one_in(3) ? XATTR_REPLACE : 0;
  const char* texts[] = {"setxattr", "getxattr", "removexattr", "listxattr"};
  both_locally(std::string(texts[die]) + " '" + path + "' " + name + " " + std::to_string(flags), {path},
               [&](const LocalTree& tree, std::string& value) -> int64_t {
                 const std::string full = tree.absolute(path);
                 if (die == 0)
                   return lsetxattr(full.c_str(), name.c_str(), content.data(), content.size(), flags);
                 if (die == 2) return lremovexattr(full.c_str(), name.c_str());
                 if (die == 3) {
                   value = list_xattrs(full);
                   return 0;
                 }
                 value.resize(2000);
                 const ssize_t got = lgetxattr(full.c_str(), name.c_str(), value.data(), value.size());
                 value.resize(got < 0 ? 0 : static_cast<size_t>(got));
                 return got;
               });
}

// Wherever they are in the path.
void MountedRandomTree::look_through_symlinks() {
  std::string path = model_.any_path(random_);
  if (random_.one_in(3)) path += (path.empty() ? "" : "/") + any_name();
  const int flags = random_.one_in(2) ? AT_SYMLINK_NOFOLLOW : 0;
  both_locally("stat '" + path + "'", {}, [&](const LocalTree& tree, std::string& value) -> int64_t {
    struct stat stat {};
    if (fstatat(tree.root(), path.empty() ? "." : path.c_str(), &stat, flags) != 0) return -1;
    value = describe(stat);
    return 0;
  });
}

void MountedRandomTree::hold() {
  if (held_.size() >= 6) {
    const size_t index = random_.below(held_.size());
    log_.begin("close the held '" + held_[index].path + "'");
    if (close(held_[index].test) != 0) log_.fail("close: " + error_name(errno));
    close(held_[index].reference);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    return;
  }
  Held held{.path = model_.any_path(random_)};
  if (!is_regular(held.path)) return look();
  caller_ = {};
  both_locally("hold '" + held.path + "' open", {held.path}, [&](const LocalTree& tree, std::string&) {
    const int file = openat(tree.root(), held.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    (&tree == reference_.get() ? held.reference : held.test) = file;
    return file;
  });
  if (held.test >= 0) held_.push_back(held);
}

void MountedRandomTree::both_held(const std::string& text, const Held& held,
                                  const std::function<int64_t(int file, std::string&)>& call) {
  both_locally(text + " of the held '" + held.path + "'", {},
               [&](const LocalTree& tree, std::string& value) -> int64_t {
                 const int file = &tree == reference_.get() ? held.reference : held.test;
                 if (call(file, value) < 0) return -1;
                 struct stat stat {};
                 if (fstat(file, &stat) != 0) return -1;
                 value += describe(stat);
                 return 0;
               });
}

void MountedRandomTree::use_held() {
  if (held_.empty()) return hold();
  const Held held = random_.pick(held_);
  std::array<uint8_t, 32> bytes{};
  random_.fill(bytes.data(), bytes.size());
  const auto offset = static_cast<off_t>(random_.below(9000));
  switch (random_.below(5)) {
    case 0:
      return both_held("write", held, [&](int file, std::string&) {
        return pwrite(file, bytes.data(), bytes.size(), offset);
      });
    case 1:
      return both_held("read", held, [&](int file, std::string& value) {
        value.resize(10'000);
        const ssize_t got = pread(file, value.data(), value.size(), 0);
        value.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return got;
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
void MountedRandomTree::odd_paths() {
  const std::string path = model_.any_path(random_);
  const char* ends[] = {"/", "/.", "/..", "//", ""};
  const std::string odd = (path.empty() ? std::string(".") : path) + ends[random_.below(5)];
  // What would leave the tree, or change what the model does not follow, is not tried.
  const bool leaves = odd.ends_with("..") && path.find('/') == std::string::npos;
  if (leaves || path.empty()) return list();
  const std::string below = odd.ends_with("..") ? parent_of(path) : path;
  const auto remove = [&](const char* text, int flags) {
    if (both_locally(std::string(text) + " '" + odd + "'", {below}, [&](const LocalTree& tree, std::string&) {
          return unlinkat(tree.root(), odd.c_str(), flags);
        })) {
      model_.remove(path);
    }
  };
  switch (random_.below(5)) {
    case 0:
      return void(both_locally("stat '" + odd + "'", {}, [&](const LocalTree& tree, std::string& value) {
        struct stat stat {};
        if (fstatat(tree.root(), odd.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        value = describe(stat);
        return 0;
      }));
    case 1:
      return remove("unlink", 0);
    case 2:
      return remove("rmdir", AT_REMOVEDIR);
    case 3:
      return void(both_locally("mkdir '" + odd + "'", {below}, [&](const LocalTree& tree, std::string&) {
        return mkdirat(tree.root(), odd.c_str(), 0777);
      }));
    default:
      return void(both("open '" + odd + "' O_DIRECTORY", {}, [&](TreeSide& side, std::string&) {
        return static_cast<LocalTree&>(side).with_file(odd, O_RDONLY | O_DIRECTORY, 0, [](int) { return 0; });
      }));
  }
}

}  // namespace shima
