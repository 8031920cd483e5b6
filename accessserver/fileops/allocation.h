// Allocation: fallocate(2) in three kinds, and lseek(2)'s SEEK_DATA and SEEK_HOLE.
//
// Volumes are thin: kAllocate makes the file as long as it says and reserves nothing, so that a later write
// may still find the volume full. What the volume's quota could not take even now is refused at once. Ranges
// are punched in steps, only where there is data. Threads: the loop.
#pragma once

#include <functional>
#include <memory>

#include "accessserver/fileops/attribute_source.h"
#include "accessserver/fileops/file_changer.h"
#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/space_quota.h"

namespace shima {

class Allocation {
 public:
  Allocation(FileContext& context, AttributeSource& attributes, FileChanger& changer, SpaceQuota& quota)
      : context_(context), attributes_(attributes), changer_(changer), quota_(quota) {}
  // EINVAL: length 0. EFBIG. EACCES, EISDIR as for writes. EDQUOT, and nothing is done: kAllocate or
  // kZeroRange of more than the quota leaves (SpaceQuota::admit_allocation).
  void allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length, bool keep_size,
                metadata::v1::Credentials credentials, FileContext::ErrorDone done);
  // ENXIO: at or beyond the end, or (data) there is none any more.
  void seek(uint64_t inode, uint64_t offset, bool hole, std::function<void(int error, uint64_t offset)> done);

 private:
  struct Run {
    uint64_t inode = 0, offset = 0, end = 0;
    bool extend = false;  // after the hole is punched
    metadata::v1::Credentials credentials;
    FileContext::ErrorDone done;
  };
  using RunPtr = std::shared_ptr<Run>;

  void begin(const RunPtr& run, AllocateKind kind);
  void punch_from(const RunPtr& run, uint64_t from);
  void punch_step(const RunPtr& run, uint64_t from);
  void extend(const RunPtr& run);

  FileContext& context_;
  AttributeSource& attributes_;
  FileChanger& changer_;
  SpaceQuota& quota_;
};

}  // namespace shima
