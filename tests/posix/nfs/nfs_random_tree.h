// NfsRandomTree: RandomTree through NFSv3: beside what all front ends have CREATE UNCHECKED, one SETATTR of
// many attributes, and handles that are kept for long: what they stand for is compared as long as it has a
// name, and is stale afterwards.
//
// Left out, since NFSv3 has none: renames with flags, extended attributes, open files without a name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/posix/nfs/nfs_tree.h"
#include "tests/posix/random_tree.h"

namespace shima {

class NfsRandomTree : public RandomTree {
 public:
  // `servers`: HOST:PORT, at least one; several are access servers of the same volume.
  NfsRandomTree(RandomTreeOptions options, const std::vector<std::string>& servers,
                const std::string& volume);
  ~NfsRandomTree() override;

 private:
  struct Held {
    int reference = -1;  // O_PATH
    std::string handle, path;
  };
  using LocalCall = std::function<int(LocalTree& tree, std::string& value)>;  // an errno, or 0
  using NfsCall = std::function<int(NfsTree& tree, std::string& value)>;      // an errno, or 0

  bool both_ways(const std::string& text, const std::vector<std::string>& touched, const LocalCall& local,
                 const NfsCall& nfs);
  void create_unchecked();
  void change_many();
  void hold();
  void use_held();

  std::vector<std::unique_ptr<Nfs3Client>> clients_;
  std::vector<Held> held_;
};

}  // namespace shima
