// RandomTree: random operations on a directory tree, done through some front end and by system calls in a
// reference directory (ext4 or tmpfs): both must answer alike and look alike afterwards; names and link
// counts must also be those of a model in memory. The operations that all front ends have are here; a front
// end hands in its sides (TreeSide), says what it cannot do, and adds steps of its own.
//
// Compared after each operation: the errno, what it returned, and type, mode, links, owner, group, size and
// device of what it touched; for some also whether mtime and ctime changed, and times that were set; now and
// then the whole tree. Operations run as root or as one of two users without privileges, one of them with a
// supplementary group, with and without a umask.
//
// With several sides (mounts or servers of the same volume) each operation goes through one of them. Needs
// root. Threads: one at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/posix/local_tree.h"
#include "tests/posix/name_model.h"
#include "tests/posix/random_run.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/step_log.h"
#include "tests/posix/tree_side.h"
#include "tests/posix/weighted_steps.h"

namespace shima {

// What is left out, since a front end has it not, or differs where it may.
struct TreeLimits {
  bool has_rename_flags = true;    // RENAME_EXCHANGE, RENAME_NOREPLACE
  bool has_files_by_mknod = true;  // S_IFREG
  bool has_times_before_1970 = true;
  bool has_set_id_bits = true;
  bool has_paths = true;            // symlinks in paths are followed, and sizes asked of any type
  bool links_by_root_only = false;  // the reference has fs.protected_hardlinks, and the front end has not
  // Where a call has several faults, systems differ in which they tell: a name that is too long is told
  // first.
  bool tells_long_names_first = false;
  uint64_t longest_target = 4095;  // bytes of a symlink
};

class RandomTree {
 public:
  virtual ~RandomTree();
  RandomTree(const RandomTree&) = delete;
  RandomTree& operator=(const RandomTree&) = delete;

  void run();  // ends the process at the first difference

 protected:
  RandomTree(RandomTreeOptions options, TreeLimits limits);

  // An errno, or 0. `value`: what the operation yielded, to compare.
  using Call = std::function<int(TreeSide& side, std::string& value)>;
  // Does it on both sides, compares, and says whether it was done. `touched`: paths to look at afterwards.
  bool both(const std::string& text, const std::vector<std::string>& touched, const Call& call) {
    return both(text, touched, call, call);
  }
  bool both(const std::string& text, const std::vector<std::string>& touched, const Call& on_reference,
            const Call& on_test);

  std::string any_name();
  std::string any_child();     // a path that may not be there yet, in a directory that is
  std::string any_existing();  // now and then one that is not there
  mode_t any_mode();
  uint32_t any_page();
  TreeSide& any_side() { return *sides_[random_.below(sides_.size())]; }
  bool is_regular(const std::string& path) const;  // at the reference
  // A file was made if it is there and was not: tells the model.
  void note_file(const std::string& path);

  // Steps that others fall back to.
  void list();
  void look();
  void read_link();

  const RandomTreeOptions options_;
  const TreeLimits limits_;
  SeededRandom random_;
  StepLog log_;
  NameModel model_;
  WeightedSteps steps_;
  std::string base_name_;                         // of the directory in each side
  std::vector<std::unique_ptr<TreeSide>> sides_;  // under test; whoever derives fills it
  std::unique_ptr<LocalTree> reference_;
  std::vector<std::string> names_;
  TreeCaller caller_;  // of this step

 private:
  void make(const std::string& text, const std::string& path, NameModel::Kind kind, const Call& call);
  void add_steps();
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
  void change_size();
  void write_file();
  void read_file();
  void ask_access();

  int answer(TreeSide& side, const Call& call, std::string& value) const;
  std::vector<struct stat> stats(TreeSide& side, const std::vector<std::string>& paths) const;
  bool may_differ(int expected, int got, bool long_name) const;
  void look_at(TreeSide& side, const std::string& path);
  [[noreturn]] void fail_at(const std::string& path, const std::string& expected,
                            const std::string& got) const;
  void check_all();
  void check_model(TreeSide& side);

  bool long_name_ = false;  // this step has a name of more than 255 bytes
};

}  // namespace shima
