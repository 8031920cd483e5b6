#include "tests/posix/rules/posix_fixture.h"

#include <dirent.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

namespace shima {

namespace {

// Of this thread only: the library's setgroups() changes all threads.
void set_groups(const std::vector<gid_t>& groups) {
  ASSERT_EQ(syscall(SYS_setgroups, groups.size(), groups.data()), 0) << "these tests need root";
}

}  // namespace

AsUser::AsUser(uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
  set_groups(groups);
  setfsgid(gid);
  setfsuid(uid);
}

AsUser::~AsUser() {
  setfsuid(0);
  setfsgid(0);
  set_groups({});
}

int File::close() {
  if (number_ < 0) return 0;
  const int error = error_of(::close(number_));
  number_ = -1;
  return error;
}

void PosixRules::SetUp() {
  const char* base = getenv("SHIMA_POSIX_DIR");
  ASSERT_NE(base, nullptr) << "set SHIMA_POSIX_DIR to a directory of the file system under test";
  ASSERT_EQ(geteuid(), 0u) << "these tests become other users: run them as root";
  umask(0);
  set_groups({});
  std::string name = std::string(base) + "/posix_rules.XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr) << "in " << base << ": errno " << errno;
  directory_ = name;
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
}

void PosixRules::TearDown() {
  if (directory_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
  EXPECT_FALSE(error) << "removing " << directory_ << ": " << error.message();
}

std::string PosixRules::make_file(const std::string& name, const std::string& content) {
  std::string full = path(name);
  const File file(open(full.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
  EXPECT_EQ(file.error(), 0) << full;
  EXPECT_EQ(write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return full;
}

std::string PosixRules::make_directory(const std::string& name, mode_t mode) {
  std::string full = path(name);
  EXPECT_EQ(error_of(mkdir(full.c_str(), mode)), 0) << full;
  return full;
}

std::string PosixRules::content_of(const std::string& path) {
  const File file(open(path.c_str(), O_RDONLY));
  EXPECT_EQ(file.error(), 0) << path;
  std::string all;
  std::array<char, 65536> part{};
  ssize_t got = 0;
  while ((got = read(file.get(), part.data(), part.size())) > 0)
    all.append(part.data(), static_cast<size_t>(got));
  EXPECT_EQ(got, 0) << path;
  return all;
}

struct stat PosixRules::stat_of(const std::string& path) {
  struct stat stat {};
  EXPECT_EQ(error_of(lstat(path.c_str(), &stat)), 0) << path;
  return stat;
}

std::vector<std::string> PosixRules::names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  EXPECT_NE(directory, nullptr) << path;
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

int PosixRules::in_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

Times times_of(const std::string& path) {
  struct stat stat {};
  EXPECT_EQ(error_of(lstat(path.c_str(), &stat)), 0) << path;
  return {stat.st_atim, stat.st_mtim, stat.st_ctim};
}

bool operator==(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace shima
