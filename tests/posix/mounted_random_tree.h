// MountedRandomTree: RandomTree by real system calls in mounted directories: beside what all front ends have
// open(2) without O_EXCL, extended attributes, files that stay open while their names come and go, symlinks
// in paths, and odd paths.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/posix/random_tree.h"

namespace shima {

class MountedRandomTree : public RandomTree {
 public:
  // `directories`: at least one; several are mounts of the same volume.
  MountedRandomTree(RandomTreeOptions options, const std::vector<std::string>& directories);
  ~MountedRandomTree() override;

 private:
  struct Held {  // a file that is open on both sides
    int test = -1, reference = -1;
    std::string path;  // when it was opened
  };
  // As Call, of system calls: what they return.
  using LocalCall = std::function<int64_t(const LocalTree& tree, std::string& value)>;

  bool both_locally(const std::string& text, const std::vector<std::string>& touched, const LocalCall& call);
  // The same on the two open files.
  void both_held(const std::string& text, const Held& held,
                 const std::function<int64_t(int file, std::string&)>& call);

  void open_or_create();
  void xattr();
  void look_through_symlinks();
  void hold();
  void use_held();
  void odd_paths();

  const std::string directory_;  // the first of them
  std::vector<Held> held_;
};

}  // namespace shima
