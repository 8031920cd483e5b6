#include "tests/posix/random_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

bool differ(const timespec& a, const timespec& b) { return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec; }

std::string changed_times(const std::vector<std::string>& paths, const std::vector<struct stat>& before,
                          const std::vector<struct stat>& after) {
  std::string text;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (before[i].st_nlink == 0 || after[i].st_nlink == 0 || before[i].st_ino != after[i].st_ino) continue;
    text += " '" + paths[i] + "':";
    if (differ(before[i].st_mtim, after[i].st_mtim)) text += " mtime";
    if (differ(before[i].st_ctim, after[i].st_ctim)) text += " ctime";
  }
  return text;
}

bool has_long_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  return path.size() - (slash == std::string::npos ? 0 : slash + 1) > 255;
}

}  // namespace

RandomTree::RandomTree(RandomTreeOptions options, TreeLimits limits)
    : options_(std::move(options)),
      limits_(limits),
      random_(options_.run.seed),
      log_(options_.run.again, options_.run.trace) {
  log_.begin("make the base directories");
  umask(0);
  if (!set_groups_of_thread({})) log_.fail("setgroups: it takes root");
  base_name_ = "random_tree." + std::to_string(options_.run.seed) + "." + std::to_string(getpid());
  const std::string path = options_.reference + "/" + base_name_;
  if (mkdir(path.c_str(), 0777) != 0) log_.fail("mkdir " + path + ": " + error_name(errno));
  const int root = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (root < 0) log_.fail("open " + path + ": " + error_name(errno));
  reference_ = std::make_unique<LocalTree>(root, LocalTree::How{.follows = limits_.has_paths});
  names_ = {"a",        "b",        "c", "d", "e", "f", "g", "h", "with space", "\xc3\xa4\xe6\xbc\xa2",
            "\xff\xfe", "new\nline"};
  names_.push_back(std::string(255, 'n'));
  add_steps();
}

RandomTree::~RandomTree() {
  empty_tree(reference_->root());
  rmdir((options_.reference + "/" + base_name_).c_str());
}

void RandomTree::run() {
  for (uint64_t i = 0; i < options_.run.operations; ++i) {
    caller_ = {};
    long_name_ = false;
    if (random_.one_in(3)) {
      caller_ = random_.one_in(2) ? TreeCaller{1001, 1001, {}} : TreeCaller{1002, 1002, {1001}};
    }
    if (random_.one_in(3)) caller_.umask = static_cast<mode_t>(random_.below(01000) & ~S_IXGRP);
    step();
    if (random_.one_in(2000)) check_all();
    log_.progress(options_.run.operations);
  }
  check_all();
}

// Creation and removal balance around the wished number of names.
void RandomTree::step() {
  if (model_.size() <= options_.names || !random_.one_in(3)) return steps_.take_one(random_);
  caller_ = {};
  random_.one_in(3) ? remove_directory() : remove_file();
}

int RandomTree::answer(TreeSide& side, const Call& call, std::string& value) const {
  side.act_as(caller_);
  const int error = call(side, value);
  side.act_as({});
  return error;
}

std::vector<struct stat> RandomTree::stats(TreeSide& side, const std::vector<std::string>& paths) const {
  std::vector<struct stat> stats;
  for (const std::string& path : paths) {
    struct stat& stat = stats.emplace_back();
    if (side.look(path, stat) != 0) stat = {};
  }
  return stats;
}

bool RandomTree::both(const std::string& text, const std::vector<std::string>& touched,
                      const Call& on_reference, const Call& on_test) {
  log_.begin(text + (caller_.uid != 0 ? " as " + std::to_string(caller_.uid) : ""));
  const size_t index = random_.below(sides_.size());
  TreeSide& side = *sides_[index];
  if (sides_.size() > 1) log_.add(" at " + std::to_string(index + 1));
  const bool times = options_.compare_times && random_.one_in(6);
  std::vector<std::string> timed;
  std::vector<struct stat> test_before, reference_before;
  if (times) {
    for (const std::string& path : touched) timed.insert(timed.end(), {path, parent_of(path)});
    test_before = stats(side, timed);
    reference_before = stats(*reference_, timed);
  }
  std::string expected_value, got_value;
  const int expected = answer(*reference_, on_reference, expected_value);
  const int got = answer(side, on_test, got_value);
  log_.add(" = " + error_name(expected));
  if (const std::string wrong = side.wrong(); !wrong.empty()) log_.fail(wrong);
  if (expected != got && !may_differ(expected, got, long_name_)) {
    log_.fail("expected " + error_name(expected) + ", got " + error_name(got));
  }
  if (expected_value != got_value) {
    log_.fail("expected '" + expected_value + "', got '" + got_value + "'");
  }
  if (times) {
    const std::string wanted = changed_times(timed, reference_before, stats(*reference_, timed));
    const std::string seen = changed_times(timed, test_before, stats(side, timed));
    if (wanted != seen) log_.fail("times that change: expected" + wanted + " -- got" + seen);
  }
  for (const std::string& path : touched) look_at(any_side(), path);
  return expected == 0;
}

bool RandomTree::may_differ(int expected, int got, bool long_name) const {
  return limits_.tells_long_names_first && long_name && expected != 0 && got == ENAMETOOLONG;
}

void RandomTree::look_at(TreeSide& side, const std::string& path) {
  struct stat wanted {
  }, shown{};
  const int expected = reference_->look(path, wanted), got = side.look(path, shown);
  if (expected != got && may_differ(expected, got, has_long_name(path))) return;
  const std::string wanted_text = expected != 0 ? error_name(expected) : describe(wanted);
  const std::string shown_text = got != 0 ? error_name(got) : describe(shown);
  if (wanted_text != shown_text) fail_at(path, wanted_text, shown_text);
}

std::string RandomTree::any_name() {
  if (!random_.one_in(200)) return random_.pick(names_);
  long_name_ = true;
  return std::string(256, 'l');  // ENAMETOOLONG
}

std::string RandomTree::any_child() {
  std::string directory = random_.one_in(30) ? model_.any_path(random_) : model_.any_directory(random_);
  // A symlink to a directory would make names that the model looks for elsewhere.
  if (model_.is_symlink(directory)) directory = parent_of(directory);
  // Deep enough is deep enough: names may be long.
  if (std::count(directory.begin(), directory.end(), '/') > 2) directory = parent_of(parent_of(directory));
  return directory.empty() ? any_name() : directory + "/" + any_name();
}

std::string RandomTree::any_existing() {
  std::string path = random_.one_in(8) ? any_child() : model_.any_path(random_);
  if (path.empty() && !limits_.has_paths) caller_ = {};  // "." takes search in it, a handle does not
  return path;
}

// Set-gid without group execution (once mandatory locking) is left out: when such a file is written without
// privilege the kernel takes the bit from local file systems' files, and not from others' (POSIX: it may).
mode_t RandomTree::any_mode() {
  const auto mode = static_cast<mode_t>(random_.below(010000) & (limits_.has_set_id_bits ? 07777 : 01777));
  if (random_.one_in(3)) return (mode & S_ISGID) != 0 ? mode | S_IXGRP : mode;
  return random_.one_in(2) ? 0777 : 0755;
}

uint32_t RandomTree::any_page() {
  const std::array<uint32_t, 4> sizes{1024, 1500, 8192, 65536};
  return sizes[random_.below(sizes.size())];
}

bool RandomTree::is_regular(const std::string& path) const {
  struct stat stat {};
  return !path.empty() && reference_->look(path, stat) == 0 && S_ISREG(stat.st_mode);
}

void RandomTree::note_file(const std::string& path) {
  struct stat stat {};
  if (!model_.has(path) && reference_->look(path, stat) == 0) {
    model_.create(path, NameModel::Kind::kOther);
  }
}

void RandomTree::fail_at(const std::string& path, const std::string& expected, const std::string& got) const {
  std::string text = "'";
  text.append(path).append("' should be: ").append(expected).append(" -- but is: ").append(got);
  log_.fail(text);
}

void RandomTree::check_model(TreeSide& side) {
  for (const auto& [path, entry] : model_.entries()) {
    struct stat stat {};
    if (side.look(path, stat) != 0) log_.fail("'" + path + "' is not there");
    if (S_ISDIR(stat.st_mode) != (entry.kind == NameModel::Kind::kDirectory)) {
      log_.fail("'" + path + "': type");
    }
    if (stat.st_nlink != model_.links(path)) {
      log_.fail("'" + path + "' has " + std::to_string(stat.st_nlink) + " links, not " +
                std::to_string(model_.links(path)));
    }
  }
}

void RandomTree::check_all() {
  log_.begin("compare the trees");
  const std::string missing = "not there";
  const auto expected = reference_->describe_tree(0);
  if (expected.size() != model_.size()) log_.fail("the tester's model differs from the reference");
  check_model(any_side());
  for (const auto& side : sides_) {
    const auto got = side->describe_tree(any_page());
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
