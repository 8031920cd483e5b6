// OrphanDropper: drops the data of files that have no name and that nobody has open, in the background.
//
// Any number of access servers do it at the same time: a group drops once, and forgetting twice is the same
// as once. Threads: the loop.
#pragma once

#include <vector>

#include "accessserver/fileops/file_context.h"

namespace shima {

class OrphanDropper {
 public:
  explicit OrphanDropper(FileContext& context) : context_(context) {}
  void start();

 private:
  void sweep();
  void drop(std::vector<metadata::v1::Orphan> orphans, bool more);

  FileContext& context_;
};

}  // namespace shima
