// PosixRules: a fresh directory in the file system under test (environment SHIMA_POSIX_DIR) for each test,
// and real system calls whose result is "done" or an errno.
//
// Needs root: many rules are about users without privileges, whom a test becomes for a moment (AsUser).
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

namespace shima {

inline constexpr uid_t kAlice = 1001, kBob = 1002;  // each in the group of the same number

// errno of a call that returned `result`; 0: done.
inline int error_of(int64_t result) { return result < 0 ? errno : 0; }

// This thread's file accesses are this user's while it lives.
class AsUser {
 public:
  AsUser(uid_t uid, gid_t gid, const std::vector<gid_t>& groups = {});
  ~AsUser();
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
};

// An open file that is closed at the end.
class File {
 public:
  explicit File(int number) : number_(number), error_(error_of(number)) {}
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return number_; }
  int error() const { return error_; }  // of open(2)
  int close();                          // errno; 0: done

 private:
  int number_;
  int error_;
};

class PosixRules : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  // Makes a file with this content, root's, mode 0644.
  std::string make_file(const std::string& name, const std::string& content = "");
  std::string make_directory(const std::string& name, mode_t mode = 0755);
  static std::string content_of(const std::string& path);
  static struct stat stat_of(const std::string& path);  // of a symlink itself
  static mode_t mode_of(const std::string& path) { return stat_of(path).st_mode & 07777; }
  static nlink_t links_of(const std::string& path) { return stat_of(path).st_nlink; }
  static std::vector<std::string> names_in(const std::string& path);  // sorted, without "." and ".."

  // Runs `work` in another process; its return value is the exit code (0 to 255).
  static int in_child(const std::function<int()>& work);

  std::string directory_;
};

// Two times of a file, to see which changed.
struct Times {
  timespec accessed, modified, changed;
};
Times times_of(const std::string& path);
bool operator==(const timespec& a, const timespec& b);

}  // namespace shima
