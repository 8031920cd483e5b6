#include "tests/posix/nfs/nfs_random_tree.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <utility>

#include "tests/posix/tree_description.h"

namespace shima {

namespace {

// Of this thread only: servers may run in others.
bool set_groups(const std::vector<uint32_t>& groups) {
  return syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

bool hardlinks_are_protected() {
  int value = 0;
  std::ifstream("/proc/sys/fs/protected_hardlinks") >> value;
  return value != 0;
}

bool has_long_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  return path.size() - (slash == std::string::npos ? 0 : slash + 1) > 255;
}

// What describe() and list_directory() give where they are refused: "ENOTDIR".
bool is_error_name(const std::string& text) {
  return text.starts_with('E') && text.find_first_of(" \n") == std::string::npos;
}

bool differ(const timespec& a, const timespec& b) { return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec; }

}  // namespace

NfsRandomTree::NfsRandomTree(NfsRandomTreeOptions options)
    : options_(std::move(options)), random_(options_.seed), log_(options_.again, options_.trace) {
  log_.begin("mount and make the base directories");
  umask(0);
  if (!set_groups({})) log_.fail("setgroups: it takes root");
  base_name_ = "random_tree." + std::to_string(options_.seed) + "." + std::to_string(getpid());
  std::string base;
  for (const std::string& server : options_.servers) {
    auto mounted = Nfs3Client::mount(server, "/" + options_.volume);
    if (!mounted) log_.fail(mounted.status().to_string());
    clients_.push_back(std::move(*mounted));
    Nfs3Client& client = *clients_.back();
    if (base.empty()) base = client.mkdir(client.root(), base_name_, {.mode = 0777}).handle;
    if (base.empty()) log_.fail("MKDIR of " + base_name_ + ": " + client.error());
    views_.push_back(std::make_unique<NfsPaths>(client, base));
  }
  const std::string path = options_.reference + "/" + base_name_;
  if (mkdir(path.c_str(), 0777) != 0) log_.fail("mkdir " + path + ": " + error_name(errno));
  reference_ = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (reference_ < 0) log_.fail("open " + path + ": " + error_name(errno));
  names_ = {"a",        "b",        "c", "d", "e", "f", "g", "h", "with space", "\xc3\xa4\xe6\xbc\xa2",
            "\xff\xfe", "new\tline"};
  names_.push_back(std::string(255, 'n'));
  links_by_root_only_ = hardlinks_are_protected();
  if (links_by_root_only_) {
    std::printf("LEFT OUT: LINK without privilege, since the reference has fs.protected_hardlinks\n");
  }
}

NfsRandomTree::~NfsRandomTree() {
  for (const Held& held : held_) close(held.reference);
  for (const auto& client : clients_) client->act_as({});
  views_[0]->empty_tree();
  clients_[0]->rmdir(clients_[0]->root(), base_name_);
  empty_tree(reference_);
  close(reference_);
  rmdir((options_.reference + "/" + base_name_).c_str());
}

void NfsRandomTree::run() {
  for (uint64_t i = 0; i < options_.operations; ++i) {
    who_ = {};
    long_name_ = false;
    if (random_.one_in(3))
      who_ = random_.one_in(2) ? NfsCaller{1001, 1001, {}} : NfsCaller{1002, 1002, {1001}};
    umask_ = random_.one_in(3) ? static_cast<mode_t>(random_.below(01000) & ~S_IXGRP) : 0;
    step();
    if (random_.one_in(2000)) check_all();
    log_.progress(options_.operations);
  }
  check_all();
}

void NfsRandomTree::step() {
  using Operation = void (NfsRandomTree::*)();
  // Creation and removal balance around the wished number of names.
  static constexpr std::array<std::pair<Operation, int>, 22> kOperations{{
      {&NfsRandomTree::create_file, 8},    {&NfsRandomTree::open_or_create, 5},
      {&NfsRandomTree::make_directory, 7}, {&NfsRandomTree::make_symlink, 3},
      {&NfsRandomTree::make_node, 3},      {&NfsRandomTree::make_link, 5},
      {&NfsRandomTree::remove_file, 6},    {&NfsRandomTree::remove_directory, 4},
      {&NfsRandomTree::rename, 14},        {&NfsRandomTree::change_mode, 6},
      {&NfsRandomTree::change_owner, 5},   {&NfsRandomTree::change_times, 5},
      {&NfsRandomTree::change_many, 3},    {&NfsRandomTree::truncate, 4},
      {&NfsRandomTree::write_file, 6},     {&NfsRandomTree::read_file, 5},
      {&NfsRandomTree::list, 4},           {&NfsRandomTree::read_link, 2},
      {&NfsRandomTree::ask_access, 4},     {&NfsRandomTree::look, 4},
      {&NfsRandomTree::hold, 3},           {&NfsRandomTree::use_held, 6},
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

int NfsRandomTree::local_answer(const LocalCall& call, std::string& value) const {
  set_groups(who_.groups);
  setfsgid(who_.gid);
  setfsuid(who_.uid);
  umask(umask_);
  errno = 0;
  const int error = call(reference_, value) < 0 ? errno : 0;
  umask(0);
  setfsuid(0);
  setfsgid(0);
  set_groups({});
  return error;
}

int NfsRandomTree::nfs_answer(const NfsPaths& paths, const NfsCall& call, std::string& value) const {
  paths.client().act_as(who_);
  const int error = call(paths, value);
  paths.client().act_as({});
  return error;
}

std::vector<struct stat> NfsRandomTree::local_stats(const std::vector<std::string>& paths) const {
  std::vector<struct stat> stats;
  for (const std::string& path : paths) {
    struct stat& stat = stats.emplace_back();
    if (fstatat(reference_, path.empty() ? "." : path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) stat = {};
  }
  return stats;
}

std::vector<struct stat> NfsRandomTree::nfs_stats(const NfsPaths& view,
                                                  const std::vector<std::string>& paths) const {
  std::vector<struct stat> stats;
  for (const std::string& path : paths) {
    const NfsPaths::Found found = view.find(path);
    struct stat& stat = stats.emplace_back();
    if (found.error == 0) stat = stat_of(found.attributes);
  }
  return stats;
}

std::string NfsRandomTree::changed_times(const std::vector<struct stat>& before,
                                         const std::vector<struct stat>& after) const {
  std::string text;
  for (size_t i = 0; i < before.size(); ++i) {
    text += "; " + std::to_string(i) + ":";
    if (before[i].st_nlink == 0 || after[i].st_nlink == 0 || before[i].st_ino != after[i].st_ino) continue;
    if (differ(before[i].st_mtim, after[i].st_mtim)) text += " mtime";
    if (differ(before[i].st_ctim, after[i].st_ctim)) text += " ctime";
  }
  return text;
}

bool NfsRandomTree::both(const std::string& text, const std::vector<std::string>& touched,
                         const LocalCall& local, const NfsCall& nfs) {
  log_.begin(text + (who_.uid != 0 ? " as " + std::to_string(who_.uid) : ""));
  const size_t index = random_.below(views_.size());
  const NfsPaths& view = *views_[index];
  if (views_.size() > 1) log_.add(" at " + std::to_string(index + 1));
  const bool times = options_.compare_times && random_.one_in(6);
  std::vector<std::string> timed;
  std::vector<struct stat> nfs_before, local_before;
  if (times) {
    for (const std::string& path : touched) timed.insert(timed.end(), {path, parent_of(path)});
    nfs_before = nfs_stats(view, timed);
    local_before = local_stats(timed);
  }
  std::string expected_value, got_value;
  const int expected = local_answer(local, expected_value);
  const int got = nfs_answer(view, nfs, got_value);
  log_.add(" = " + error_name(expected));
  if (!wrong_.empty()) log_.fail(wrong_);
  compare_answers(expected, expected_value, got, got_value);
  if (times) {
    const std::string wanted = changed_times(local_before, local_stats(timed));
    const std::string seen = changed_times(nfs_before, nfs_stats(view, timed));
    if (wanted != seen) log_.fail("times that change: expected" + wanted + " -- got" + seen);
  }
  for (const std::string& path : touched) look_at(any_view(), path);
  return expected == 0;
}

// Where a call has several faults, systems differ in which they tell: a name that is too long is told first
// by a server.
void NfsRandomTree::compare_answers(int expected, const std::string& expected_value, int got,
                                    const std::string& got_value) {
  if (expected != got && !(expected != 0 && got == ENAMETOOLONG && long_name_)) {
    log_.fail("expected " + error_name(expected) + ", got " + error_name(got));
  }
  const bool both_refuse = long_name_ && is_error_name(expected_value) && got_value == "ENAMETOOLONG";
  if (expected_value != got_value && !both_refuse) {
    log_.fail("expected '" + expected_value + "', got '" + got_value + "'");
  }
}

void NfsRandomTree::look_at(const NfsPaths& view, const std::string& path) {
  const std::string expected = describe(reference_, path.empty() ? "." : path);
  const std::string got = view.describe(path);
  const bool both_refuse = has_long_name(path) && is_error_name(expected) && got == "ENAMETOOLONG";
  if (expected != got && !both_refuse) fail_at(path, expected, got);
}

void NfsRandomTree::check_carried(const NfsPaths& paths, const NfsAnswer& answer) const {
  if (answer.status != NFS3_OK || !answer.attributes || answer.handle.empty()) return;
  const NfsAnswer now = paths.client().getattr(answer.handle);
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

std::string NfsRandomTree::any_name() {
  if (random_.one_in(200)) {
    long_name_ = true;
    return std::string(256, 'l');  // ENAMETOOLONG
  }
  return random_.pick(names_);
}

std::string NfsRandomTree::any_child() {
  std::string directory = random_.one_in(30) ? model_.any_path(random_) : model_.any_directory(random_);
  // System calls would follow it.
  if (model_.is_symlink(directory)) directory = parent_of(directory);
  // Deep enough is deep enough: each name is a LOOKUP.
  if (std::count(directory.begin(), directory.end(), '/') > 2) directory = parent_of(parent_of(directory));
  return directory.empty() ? any_name() : directory + "/" + any_name();
}

std::string NfsRandomTree::any_existing() {
  std::string path = random_.one_in(8) ? any_child() : model_.any_path(random_);
  if (path.empty()) who_ = {};  // "." takes search in it, a handle does not
  return path;
}

// Set-gid without group execution (once mandatory locking) is left out: kernels and servers differ.
mode_t NfsRandomTree::any_mode() {
  const auto mode = static_cast<mode_t>(random_.below(010000));
  if (random_.one_in(3)) return (mode & S_ISGID) != 0 ? mode | S_IXGRP : mode;
  return random_.one_in(2) ? 0777 : 0755;
}

uint32_t NfsRandomTree::any_page() {
  const std::array<uint32_t, 4> sizes{1024, 1500, 8192, 65536};
  return sizes[random_.below(sizes.size())];
}

bool NfsRandomTree::is_regular(const std::string& path) const {
  struct stat stat {};
  return !path.empty() && fstatat(reference_, path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG(stat.st_mode);
}

void NfsRandomTree::fail_at(const std::string& path, const std::string& expected,
                            const std::string& got) const {
  std::string text = "'";
  text.append(path).append("' should be: ").append(expected).append(" -- but is: ").append(got);
  log_.fail(text);
}

void NfsRandomTree::check_all() {
  log_.begin("compare the trees");
  const std::string missing = "not there";
  const auto expected = describe_tree(reference_);
  if (expected.size() != model_.size()) log_.fail("the tester's model differs from the reference");
  for (const auto& view : views_) {
    const auto got = view->describe_tree(any_page());
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
