// LocalTree: a mounted directory by real system calls.
//
// act_as() sets the thread's fsuid, fsgid, groups and umask only during a call. Needs root.
#pragma once

#include <functional>
#include <string>

#include "tests/posix/tree_side.h"

namespace shima {

class LocalTree final : public TreeSide {
 public:
  struct How {
    bool follows = true;  // symlinks at the end of a path are opened; else ELOOP
    bool shared = false;  // others change the directory as well
  };
  // `root`: a descriptor of the directory, which this closes at the end.
  LocalTree(int root, How how) : root_(root), how_(how) {}
  ~LocalTree() override;
  LocalTree(const LocalTree&) = delete;
  LocalTree& operator=(const LocalTree&) = delete;

  int root() const { return root_; }
  std::string absolute(const std::string& path) const;
  // The errno of `call`, which returns what system calls return, as the caller; 0: done.
  int as_caller(const std::function<int64_t()>& call) const;
  // The same with a file that is opened before and closed after.
  int with_file(const std::string& path, int flags, mode_t mode,
                const std::function<int64_t(int)>& use) const;

  void act_as(const TreeCaller& caller) override { caller_ = caller; }
  int make_file(const std::string& path, mode_t mode) override;
  int make_directory(const std::string& path, mode_t mode) override;
  int make_symlink(const std::string& path, const std::string& target) override;
  int make_node(const std::string& path, mode_t mode, TreeDevice device) override;
  int make_link(const std::string& from, const std::string& to) override;
  int remove_file(const std::string& path) override;
  int remove_directory(const std::string& path) override;
  int rename(const std::string& from, const std::string& to, unsigned flags) override;
  int change_mode(const std::string& path, mode_t mode) override;
  int change_owner(const std::string& path, uid_t uid, gid_t gid) override;
  int change_times(const std::string& path, const std::array<timespec, 2>& times) override;
  int change_size(const std::string& path, uint64_t size) override;
  int write(const std::string& path, const TreeWrite& write, uint64_t& written) override;
  int read(const std::string& path, uint32_t count, std::string& bytes) override;
  int read_link(const std::string& path, std::string& target) override;
  int list(const std::string& path, bool types, uint32_t page, std::string& lines) override;
  int look(const std::string& path, struct stat& stat) override;
  int access(const std::string& path, std::string& allowed) override;
  std::map<std::string, std::string> describe_tree(uint32_t page) override;

 private:
  bool is_special(const std::string& path) const;

  const int root_;
  const How how_;
  TreeCaller caller_;
};

// Of this thread only: servers may run in others. False: errno says why.
bool set_groups_of_thread(const std::vector<uint32_t>& groups);

}  // namespace shima
