// The operations of RandomTree.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <array>

#include "tests/posix/random_tree.h"
#include "tests/posix/tree_description.h"

namespace shima {

void RandomTree::add_steps() {
  steps_.add(8, [this] { create_file(); });
  steps_.add(7, [this] { make_directory(); });
  steps_.add(3, [this] { make_symlink(); });
  steps_.add(3, [this] { make_node(); });
  steps_.add(5, [this] { make_link(); });
  steps_.add(6, [this] { remove_file(); });
  steps_.add(4, [this] { remove_directory(); });
  steps_.add(14, [this] { rename(); });
  steps_.add(6, [this] { change_mode(); });
  steps_.add(5, [this] { change_owner(); });
  steps_.add(5, [this] { change_times(); });
  steps_.add(4, [this] { change_size(); });
  steps_.add(6, [this] { write_file(); });
  steps_.add(5, [this] { read_file(); });
  steps_.add(4, [this] { list(); });
  steps_.add(2, [this] { read_link(); });
  steps_.add(4, [this] { ask_access(); });
  steps_.add(4, [this] { look(); });
}

void RandomTree::make(const std::string& text, const std::string& path, NameModel::Kind kind,
                      const Call& call) {
  if (both(text, {path, parent_of(path)}, call)) model_.create(path, kind);
}

void RandomTree::create_file() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  make("create '" + path + "' " + octal(mode), path, NameModel::Kind::kOther,
       [&](TreeSide& side, std::string&) { return side.make_file(path, mode); });
}

void RandomTree::make_directory() {
  const std::string path = any_child();
  const mode_t mode = any_mode();
  make("mkdir '" + path + "' " + octal(mode), path, NameModel::Kind::kDirectory,
       [&](TreeSide& side, std::string&) { return side.make_directory(path, mode); });
}

// Targets stay inside the tree: names in the same directory only.
void RandomTree::make_symlink() {
  const std::string path = any_child();
  const std::string target = random_.one_in(6)
                                 ? std::string(random_.between(256, limits_.longest_target), 't')
                                 : random_.pick(names_);
  make("symlink '" + path + "' -> '" + target.substr(0, 40) + "'", path, NameModel::Kind::kSymlink,
       [&](TreeSide& side, std::string&) { return side.make_symlink(path, target); });
}

void RandomTree::make_node() {
  const std::string path = any_child();
  const std::array<mode_t, 6> types{S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG, 0};
  const mode_t mode = types[random_.below(limits_.has_files_by_mknod ? 6 : 4)] | any_mode();
  TreeDevice device;
  if (S_ISCHR(mode) || S_ISBLK(mode)) {
    device = {static_cast<uint32_t>(random_.below(4096)), static_cast<uint32_t>(random_.below(1 << 20))};
  }
  make("mknod '" + path + "' " + octal(mode), path, NameModel::Kind::kOther,
       [&](TreeSide& side, std::string&) { return side.make_node(path, mode, device); });
}

void RandomTree::make_link() {
  const std::string from = any_existing(), to = any_child();
  if (limits_.links_by_root_only) caller_ = {};
  if (both("link '" + from + "' '" + to + "'", {from, to},
           [&](TreeSide& side, std::string&) { return side.make_link(from, to); })) {
    model_.link(from, to);
  }
}

void RandomTree::remove_file() {
  const std::string path = any_existing();
  if (both("unlink '" + path + "'", {path, parent_of(path)},
           [&](TreeSide& side, std::string&) { return side.remove_file(path); })) {
    model_.remove(path);
  }
}

void RandomTree::remove_directory() {
  const std::string path = random_.one_in(3) ? any_existing() : model_.any_directory(random_);
  if (path.empty()) return list();
  if (both("rmdir '" + path + "'", {path, parent_of(path)},
           [&](TreeSide& side, std::string&) { return side.remove_directory(path); })) {
    model_.remove(path);
  }
}

void RandomTree::rename() {
  const std::string from = any_existing();
  const std::string to = random_.one_in(3) ? any_existing() : any_child();
  unsigned flags = 0;
  if (limits_.has_rename_flags) {
    flags = random_.one_in(6) ? RENAME_EXCHANGE : random_.one_in(5) ? RENAME_NOREPLACE : 0;
  }
  const char* name = flags == RENAME_EXCHANGE ? " EXCHANGE" : flags == RENAME_NOREPLACE ? " NOREPLACE" : "";
  if (!both("rename '" + from + "' '" + to + "'" + name, {from, to, parent_of(from), parent_of(to)},
            [&](TreeSide& side, std::string&) { return side.rename(from, to, flags); })) {
    return;
  }
  if (flags == RENAME_EXCHANGE) {
    model_.exchange(from, to);
  } else {
    model_.rename(from, to);
  }
}

void RandomTree::change_mode() {
  const std::string path = any_existing();
  if (!limits_.has_paths && model_.is_symlink(path)) return read_link();  // chmod(2) would follow it
  const mode_t mode = random_.one_in(3) ? any_mode() : 0777;
  both("chmod '" + path + "' " + octal(mode), {path},
       [&](TreeSide& side, std::string&) { return side.change_mode(path, mode); });
}

void RandomTree::change_owner() {
  const std::string path = any_existing();
  const uint32_t ids[] = {0, 1001, 1002, static_cast<uint32_t>(-1)};
  const uid_t uid = ids[random_.below(4)];
  // Not both -1: POSIX leaves open whether ctime changes then.
  const gid_t gid = ids[random_.below(uid == static_cast<uid_t>(-1) ? 3 : 4)];
  both("chown '" + path + "' " + std::to_string(static_cast<int>(uid)) + ":" +
           std::to_string(static_cast<int>(gid)),
       {path}, [&](TreeSide& side, std::string&) { return side.change_owner(path, uid, gid); });
}

void RandomTree::change_times() {
  const std::string path = any_existing();
  std::array<timespec, 2> times{};
  std::string text;
  for (timespec& time : times) {
    time.tv_sec = limits_.has_times_before_1970 && random_.one_in(4)
                      ? -static_cast<time_t>(random_.below(1'000'000'000))
                      : static_cast<time_t>(random_.below(4'000'000'000));
    time.tv_nsec = random_.one_in(5)   ? UTIME_NOW
                   : random_.one_in(5) ? UTIME_OMIT
                                       : static_cast<long>(random_.below(1'000'000'000));
    text += " " + std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
  }
  both("utimensat '" + path + "'" + text, {path}, [&](TreeSide& side, std::string& value) {
    if (const int error = side.change_times(path, times); error != 0) return error;
    struct stat stat {};
    if (const int error = side.look(path, stat); error != 0) return error;
    const timespec now[] = {stat.st_atim, stat.st_mtim};
    for (size_t i = 0; i < 2; ++i) {
      if (times[i].tv_nsec == UTIME_NOW || times[i].tv_nsec == UTIME_OMIT) continue;
      value += std::to_string(now[i].tv_sec) + "." + std::to_string(now[i].tv_nsec) + " ";
    }
    return 0;
  });
}

void RandomTree::change_size() {
  const std::string path = any_existing();
  if (!limits_.has_paths && !is_regular(path)) return look();
  const uint64_t size = random_.one_in(3) ? 0 : random_.below(9000);
  both("truncate '" + path + "' " + std::to_string(size), {path},
       [&](TreeSide& side, std::string&) { return side.change_size(path, size); });
}

void RandomTree::write_file() {
  const std::string path = any_existing();
  if (!limits_.has_paths && !is_regular(path)) return list();
  std::array<uint8_t, 64> bytes{};
  random_.fill(bytes.data(), bytes.size());
  TreeWrite write{.offset = random_.one_in(2) ? 0 : random_.below(9000),
                  .append = random_.one_in(3),
                  .empty_first = random_.one_in(6),
                  .bytes = bytes};
  both("write '" + path + "' at " + std::to_string(write.offset) + (write.append ? " O_APPEND" : "") +
           (write.empty_first ? " O_TRUNC" : ""),
       {path}, [&](TreeSide& side, std::string& value) {
         uint64_t written = 0;
         const int error = side.write(path, write, written);
         value = std::to_string(written);
         return error;
       });
}

void RandomTree::read_file() {
  const std::string path = any_existing();
  if (!limits_.has_paths && !is_regular(path)) return read_link();
  both("read '" + path + "'", {},
       [&](TreeSide& side, std::string& value) { return side.read(path, 20'000, value); });
}

void RandomTree::list() {
  const std::string path = random_.one_in(8) ? any_existing() : model_.any_directory(random_);
  if (path.empty() && !limits_.has_paths) caller_ = {};
  const bool types = random_.one_in(2);
  const uint32_t page = any_page();
  both("list '" + path + "'" + (types ? " with types" : "") + " by " + std::to_string(page), {},
       [&](TreeSide& side, std::string& value) { return side.list(path, types, page, value); });
}

void RandomTree::read_link() {
  const std::string path = any_existing();
  both("readlink '" + path + "'", {},
       [&](TreeSide& side, std::string& value) { return side.read_link(path, value); });
}

void RandomTree::ask_access() {
  const std::string path = any_existing();
  if (!limits_.has_paths && model_.is_symlink(path)) return read_link();
  both("access '" + path + "'", {},
       [&](TreeSide& side, std::string& value) { return side.access(path, value); });
}

void RandomTree::look() {
  const std::string path = any_existing();
  both("lstat '" + path + "'", {}, [&](TreeSide& side, std::string& value) {
    struct stat stat {};
    const int error = side.look(path, stat);
    if (error == 0) value = describe(stat);
    return error;
  });
}

}  // namespace shima
