// TruncationFinisher: completes truncations that are under way, its own and others' (R18).
//
// Whoever sees attributes with `truncating` drops the bytes at the data groups and tells the metadata group.
// The attributes are then right as they were seen, without `truncating`: later ones would not fit to what
// else the same job has answered. Idempotent, so any number of access servers may do it at the same time; in
// here one truncation is completed once for all that wait. Threads: the loop.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "accessserver/fileops/file_context.h"

namespace shima {

class TruncationFinisher {
 public:
  using Done = FileContext::ErrorDone;

  explicit TruncationFinisher(FileContext& context) : context_(context) {}
  // `attributes` has truncating set. ESTALE: the inode is gone.
  void finish(const FileAttributes& attributes, Done done);

 private:
  using Key = std::pair<uint64_t, uint64_t>;  // inode, truncate sequence
  void tell_metadata(Key key);
  void end(Key key, int error);

  FileContext& context_;
  std::map<Key, std::vector<Done>> under_way_;
};

}  // namespace shima
