// NfsRandomTree: random operations on a directory tree through NFSv3, done there and by system calls in a
// reference directory (ext4 or tmpfs): both must answer alike and look alike afterwards; names must also be
// those of a model in memory.
//
// Compared after each operation: the errno, what it returned, and type, mode, links, owner, group, size and
// device of what it touched; attributes that the answer itself carried; for some operations also which times
// changed, and times that were set; now and then the whole tree. Operations run as root or as one of two
// users without privileges, one of them with a supplementary group, with and without a umask. Some handles
// are kept for long: what they stand for is compared as long as it has a name, and is stale afterwards.
//
// Left out, since NFSv3 has none: exchanging renames, extended attributes, locks, open files without a name.
// With several servers (access servers of one volume) each operation goes through one of them. Needs root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/posix/name_model.h"
#include "tests/posix/nfs/nfs_paths.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/step_log.h"

namespace shima {

struct NfsRandomTreeOptions {
  std::vector<std::string> servers;  // HOST:PORT, at least one
  std::string volume;
  std::string reference;  // a directory
  uint64_t seed = 1;
  uint64_t operations = 100'000;
  uint64_t names = 150;       // about so many names exist at a time
  bool compare_times = true;  // off where the reference's clock is too coarse (Linux before 6.13)
  bool trace = false;         // print every step
  std::string again;          // the command line, for the report
};

class NfsRandomTree {
 public:
  explicit NfsRandomTree(NfsRandomTreeOptions options);
  ~NfsRandomTree();
  NfsRandomTree(const NfsRandomTree&) = delete;
  NfsRandomTree& operator=(const NfsRandomTree&) = delete;

  void run();  // ends the process at the first difference

 private:
  // `value`: what the operation yielded, to compare. As system calls: -1 with errno set, or 0.
  using LocalCall = std::function<int(int root, std::string& value)>;
  // An errno, or 0.
  using NfsCall = std::function<int(const NfsPaths& paths, std::string& value)>;
  struct Held {
    int reference = -1;  // O_PATH
    std::string handle, path;
  };

  // Does it on both sides, compares, and says whether it was done. `touched`: paths to look at afterwards.
  bool both(const std::string& text, const std::vector<std::string>& touched, const LocalCall& local,
            const NfsCall& nfs);
  int local_answer(const LocalCall& call, std::string& value) const;
  int nfs_answer(const NfsPaths& paths, const NfsCall& call, std::string& value) const;
  std::string changed_times(const std::vector<struct stat>& before,
                            const std::vector<struct stat>& after) const;
  std::vector<struct stat> local_stats(const std::vector<std::string>& paths) const;
  std::vector<struct stat> nfs_stats(const NfsPaths& view, const std::vector<std::string>& paths) const;
  void compare_answers(int expected, const std::string& expected_value, int got,
                       const std::string& got_value);
  void look_at(const NfsPaths& view, const std::string& path);
  [[noreturn]] void fail_at(const std::string& path, const std::string& expected,
                            const std::string& got) const;
  // The attributes that an answer carried must be those that a GETATTR shows; notes what is wrong.
  void check_carried(const NfsPaths& paths, const NfsAnswer& answer) const;

  const NfsPaths& any_view() { return *views_[random_.below(views_.size())]; }
  std::string any_name();
  std::string any_child();     // a path that may not be there yet, in a directory that is
  std::string any_existing();  // now and then one that is not there
  mode_t any_mode();
  uint32_t any_page();
  bool is_regular(const std::string& path) const;  // at the reference
  void make(const std::string& text, const std::string& path, NameModel::Kind kind, const LocalCall& local,
            const std::function<NfsAnswer(Nfs3Client&, const NfsPaths::Place&)>& nfs);

  void step();
  void create_file();
  void open_or_create();
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
  void change_many();
  void truncate();
  void write_file();
  void read_file();
  void list();
  void read_link();
  void ask_access();
  void look();
  void hold();
  void use_held();
  void check_all();

  const NfsRandomTreeOptions options_;
  SeededRandom random_;
  StepLog log_;
  NameModel model_;
  std::string base_name_;
  std::vector<std::unique_ptr<Nfs3Client>> clients_;
  std::vector<std::unique_ptr<NfsPaths>> views_;
  int reference_ = -1;
  std::vector<std::string> names_;
  std::vector<Held> held_;
  NfsCaller who_;
  mode_t umask_ = 0;
  bool long_name_ = false;     // this step's path has a name of more than 255 bytes
  mutable std::string wrong_;  // what check_carried() found
  bool links_by_root_only_ = false;
};

}  // namespace shima
