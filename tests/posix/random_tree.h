// RandomTree: random operations on a directory tree by real system calls, done in the directory under test
// and in a reference directory (ext4 or tmpfs): both must answer alike and look alike afterwards; names and
// link counts must also be those of a model in memory.
//
// Compared after each operation: the errno, what it returned, and mode, links, owner, group, size, type and
// device of the files it touched; for some also whether mtime and ctime changed; now and then the
// whole tree. Operations run as root or as one of two users without privileges (setfsuid), with and without a
// umask.
//
// With several directories under test (mounts of the same volume) each operation goes through one of them.
// Needs root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/posix/name_model.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/step_log.h"

namespace shima {

struct RandomTreeOptions {
  std::vector<std::string> directories;  // at least one
  std::string reference;
  uint64_t seed = 1;
  uint64_t operations = 100'000;
  uint64_t names = 150;       // about so many names exist at a time
  bool compare_times = true;  // off where the reference's clock is too coarse (Linux before 6.13)
  bool trace = false;         // print every step
  std::string again;          // the command line, for the report
};

class RandomTree {
 public:
  explicit RandomTree(RandomTreeOptions options);
  ~RandomTree();
  RandomTree(const RandomTree&) = delete;
  RandomTree& operator=(const RandomTree&) = delete;

  void run();  // ends the process at the first difference

 private:
  struct Who {
    uid_t uid = 0;
    gid_t gid = 0;
  };
  // Does the operation below a root; returns what a system call returns. `value`: what it yielded, to
  // compare.
  using Call = std::function<int(int root, std::string& value)>;
  struct Answer {
    int error = 0;
    std::string value;
  };
  struct Held {  // a file that is open on both sides
    int test = -1, reference = -1;
    std::string path;  // when it was opened
  };

  // Does it on both sides, compares, and says whether it was done. `touched`: paths to look at afterwards.
  bool both(const std::string& text, const std::vector<std::string>& touched, const Call& call);
  Answer answer(const Call& call, int root) const;
  void look_at(int root, const std::string& path);
  [[noreturn]] void fail_at(const std::string& path, const std::string& expected,
                            const std::string& got) const;
  // The same on the two open files.
  void both_held(const std::string& text, const Held& held,
                 const std::function<int(int file, std::string&)>& call);

  std::string any_name();
  std::string any_child();     // a path that may not be there yet, in a directory that is
  std::string any_existing();  // now and then one that is not there
  mode_t any_mode();

  void step();
  void create_file();
  void make_directory();
  void make_symlink();
  void make_node();
  void make_link();
  void remove_file();
  void remove_directory();
  void rename();
  void change_mode();
  void change_owner();
  void change_times();
  void truncate();
  void write_file();
  void read_file();
  void list();
  void read_link();
  void xattr();
  void look();
  void hold();
  void use_held();
  void odd_paths();
  void check_all();
  void check_model();

  const RandomTreeOptions options_;
  SeededRandom random_;
  StepLog log_;
  NameModel model_;
  std::string base_name_;
  std::vector<int> views_;  // descriptors of the directories under test
  int reference_ = -1;
  std::vector<std::string> names_;
  std::vector<Held> held_;
  Who who_;
  mode_t umask_ = 0;
};

}  // namespace shima
