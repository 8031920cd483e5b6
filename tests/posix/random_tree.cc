#include "tests/posix/random_tree.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

// Which times changed: "mtime ctime".
std::string changes(const struct stat& before, const struct stat& after) {
  const auto differ = [](const timespec& a, const timespec& b) {
    return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec;
  };
  return std::string(differ(before.st_mtim, after.st_mtim) ? "mtime " : "") +
         (differ(before.st_ctim, after.st_ctim) ? "ctime " : "");
}

std::vector<struct stat> stat_all(int root, const std::vector<std::string>& paths) {
  std::vector<struct stat> stats;
  for (const std::string& path : paths) {
    struct stat stat {};
    if (fstatat(root, path.empty() ? "." : path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) stat.st_nlink = 0;
    stats.push_back(stat);
  }
  return stats;
}

std::string compare_times(const std::vector<std::string>& paths, const std::vector<struct stat>& before,
                          const std::vector<struct stat>& after) {
  std::string text;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (before[i].st_nlink == 0 || after[i].st_nlink == 0 || before[i].st_ino != after[i].st_ino) continue;
    text += "'" + paths[i] + "': " + changes(before[i], after[i]) + "; ";
  }
  return text;
}

}  // namespace

RandomTree::RandomTree(RandomTreeOptions options)
    : options_(std::move(options)), random_(options_.seed), log_(options_.again, options_.trace) {
  umask(0);
  if (setgroups(0, nullptr) != 0) log_.fail("setgroups: it takes root");
  log_.begin("make the base directories");
  base_name_ = "/random_tree." + std::to_string(options_.seed) + "." + std::to_string(getpid());
  const auto open_base = [&](const std::string& directory, bool make) {
    const std::string path = directory + base_name_;
    if (make && mkdir(path.c_str(), 0777) != 0) log_.fail("mkdir " + path + ": " + error_name(errno));
    const int file = open(path.c_str(), O_RDONLY | O_DIRECTORY);
    if (file < 0) log_.fail("open " + path + ": " + error_name(errno));
    return file;
  };
  for (const std::string& directory : options_.directories)
    views_.push_back(open_base(directory, views_.empty()));
  reference_ = open_base(options_.reference, true);
  names_ = {"a",        "b",        "c", "d", "e", "f", "g", "h", "with space", "\xc3\xa4\xe6\xbc\xa2",
            "\xff\xfe", "new\nline"};
  names_.push_back(std::string(255, 'n'));
}

RandomTree::~RandomTree() {
  for (const Held& held : held_) close(held.test), close(held.reference);
  for (const int root : {views_[0], reference_}) empty_tree(root);
  for (const int view : views_) close(view);
  close(reference_);
  rmdir((options_.directories[0] + base_name_).c_str());
  rmdir((options_.reference + base_name_).c_str());
}

void RandomTree::run() {
  for (uint64_t i = 0; i < options_.operations; ++i) {
    who_ = {};
    if (random_.one_in(3)) who_ = random_.one_in(2) ? Who{1001, 1001} : Who{1002, 1002};
    umask_ = random_.one_in(3) ? static_cast<mode_t>(random_.below(01000) & ~S_IXGRP) : 0;
    step();
    if (random_.one_in(2000)) check_all();
    log_.progress(options_.operations);
  }
  check_all();
}

void RandomTree::step() {
  using Operation = void (RandomTree::*)();
  // Creation and removal balance around the wished number of names.
  static constexpr std::array<std::pair<Operation, int>, 21> kOperations{{
      {&RandomTree::create_file, 12},
      {&RandomTree::make_directory, 7},
      {&RandomTree::make_symlink, 3},
      {&RandomTree::make_node, 3},
      {&RandomTree::make_link, 5},
      {&RandomTree::remove_file, 6},
      {&RandomTree::remove_directory, 4},
      {&RandomTree::rename, 14},
      {&RandomTree::change_mode, 6},
      {&RandomTree::change_owner, 5},
      {&RandomTree::change_times, 5},
      {&RandomTree::truncate, 4},
      {&RandomTree::write_file, 6},
      {&RandomTree::read_file, 5},
      {&RandomTree::list, 4},
      {&RandomTree::read_link, 2},
      {&RandomTree::xattr, 5},
      {&RandomTree::look, 4},
      {&RandomTree::hold, 3},
      {&RandomTree::use_held, 5},
      {&RandomTree::odd_paths, 2},
  }};
  if (model_.size() > options_.names && random_.one_in(3)) {
    who_ = {};
    return random_.one_in(3) ? remove_directory() : remove_file();
  }
  int total = 0;
  for (const auto& [operation, weight] : kOperations) total += weight;
  auto die = static_cast<int>(random_.below(static_cast<uint64_t>(total)));
  for (const auto& [operation, weight] : kOperations) {
    if ((die -= weight) < 0) return (this->*operation)();
  }
}

RandomTree::Answer RandomTree::answer(const Call& call, int root) const {
  Answer answer;
  setfsgid(who_.gid);
  setfsuid(who_.uid);
  umask(umask_);
  errno = 0;
  if (call(root, answer.value) < 0) answer.error = errno;
  umask(0);
  setfsuid(0);
  setfsgid(0);
  return answer;
}

bool RandomTree::both(const std::string& text, const std::vector<std::string>& touched, const Call& call) {
  log_.begin(text + (who_.uid != 0 ? " as " + std::to_string(who_.uid) : ""));
  const size_t index = random_.below(views_.size());
  const int view = views_[index];
  if (views_.size() > 1) log_.add(" at " + std::to_string(index + 1));
  const bool times = options_.compare_times && random_.one_in(6);
  std::vector<std::string> timed;
  std::vector<struct stat> test_before, reference_before;
  if (times) {
    for (const std::string& path : touched) timed.insert(timed.end(), {path, parent_of(path)});
    test_before = stat_all(view, timed);
    reference_before = stat_all(reference_, timed);
  }
  const Answer reference = answer(call, reference_), test = answer(call, view);
  log_.add(" = " + error_name(reference.error));
  if (reference.error != test.error) {
    log_.fail("expected " + error_name(reference.error) + ", got " + error_name(test.error));
  }
  if (reference.value != test.value)
    log_.fail("expected '" + reference.value + "', got '" + test.value + "'");
  if (times) {
    const std::string expected = compare_times(timed, reference_before, stat_all(reference_, timed));
    const std::string got = compare_times(timed, test_before, stat_all(view, timed));
    if (expected != got) log_.fail("times that change: expected " + expected + " -- got " + got);
  }
  for (const std::string& path : touched) look_at(random_.pick(views_), path);
  return reference.error == 0;
}

void RandomTree::look_at(int root, const std::string& path) {
  const std::string expected = describe(reference_, path.empty() ? "." : path);
  const std::string got = describe(root, path.empty() ? "." : path);
  if (expected != got) fail_at(path, expected, got);
}

std::string RandomTree::any_name() {
  if (random_.one_in(200)) return std::string(256, 'l');  // ENAMETOOLONG
  return random_.pick(names_);
}

std::string RandomTree::any_child() {
  std::string directory = random_.one_in(30) ? model_.any_path(random_) : model_.any_directory(random_);
  // A symlink to a directory would make names that the model looks for elsewhere; look() goes that way.
  if (model_.is_symlink(directory)) directory = parent_of(directory);
  // Deep enough is deep enough: names may be long.
  if (std::count(directory.begin(), directory.end(), '/') > 2) directory = parent_of(parent_of(directory));
  return directory.empty() ? any_name() : directory + "/" + any_name();
}

std::string RandomTree::any_existing() { return random_.one_in(8) ? any_child() : model_.any_path(random_); }

// Set-gid without group execution is left out: when such a file is written without privilege the kernel takes
// the bit from local file systems' files, and not from FUSE's (POSIX: it may).
mode_t RandomTree::any_mode() {
  const auto mode = static_cast<mode_t>(random_.below(010000) & (views_.size() == 1 ? 07777 : 01777));
  if (random_.one_in(3)) return (mode & S_ISGID) != 0 ? mode | S_IXGRP : mode;
  return random_.one_in(2) ? 0777 : 0755;
}

void RandomTree::check_model() {
  for (const auto& [path, entry] : model_.entries()) {
    struct stat stat {};
    if (fstatat(views_[0], path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0)
      log_.fail("'" + path + "' is not there");
    if (S_ISDIR(stat.st_mode) != (entry.kind == NameModel::Kind::kDirectory))
      log_.fail("'" + path + "': type");
    if (stat.st_nlink != model_.links(path)) {
      log_.fail("'" + path + "' has " + std::to_string(stat.st_nlink) + " links, not " +
                std::to_string(model_.links(path)));
    }
  }
}

void RandomTree::fail_at(const std::string& path, const std::string& expected, const std::string& got) const {
  std::string text = "'";
  text.append(path).append("' should be: ").append(expected).append(" -- but is: ").append(got);
  log_.fail(text);
}

void RandomTree::check_all() {
  log_.begin("compare the trees");
  const std::string missing = "not there";
  const auto expected = describe_tree(reference_);
  if (expected.size() != model_.size()) log_.fail("the tester's model differs from the reference");
  check_model();
  for (const int view : views_) {
    const auto got = describe_tree(view);
    for (const auto& [path, text] : expected) {
      const auto found = got.find(path);
      const std::string& shown = found == got.end() ? missing : found->second;
      if (shown != text) fail_at(path, text, shown);
    }
    for (const auto& [path, text] : got) {
      if (!expected.contains(path)) fail_at(path, missing, text);
    }
  }
}

}  // namespace shima
