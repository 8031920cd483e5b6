// SpaceQuota: keeps a volume's files within its quota of bytes (VolumeLayout.size_bytes), as far as one
// access server can tell.
//
// Used is what the data groups said last, at most a second ago while there are writes, plus what this server
// has let through since; other servers' writes show after that second, so a quota may be passed by what they
// write in it. When it seems used up the groups are asked again before a write is refused, and the volume's
// record, since its size may have been raised; a write that only replaces bytes that are allocated already is
// never refused. An allocation is asked about, but reserves nothing: volumes are thin. Threads: the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "accessserver/fileops/file_context.h"

namespace shima {

class SpaceQuota {
 public:
  explicit SpaceQuota(FileContext& context) : context_(context) {}
  // May [offset, offset + length) of the file be written? EDQUOT. May call `done` at once.
  void admit(const FileAttributes& attributes, uint64_t offset, uint64_t length, FileContext::ErrorDone done);
  // Could [offset, offset + length) of the file be written, if all that it has allocated lies in there?
  // EDQUOT.
  void admit_allocation(uint64_t inode, uint64_t offset, uint64_t length, FileContext::ErrorDone done);

 private:
  bool fits(uint64_t bytes, uint64_t quota) const;
  void refresh(uint64_t inode, FileContext::ErrorDone done);
  void ask(uint64_t inode);
  void admit_if_grown(const FileAttributes& attributes, uint64_t offset, uint64_t length,
                      FileContext::ErrorDone done);
  void admit_if_allocated(const FileAttributes& attributes, uint64_t offset, uint64_t length,
                          FileContext::ErrorDone done);

  FileContext& context_;
  bool known_ = false;
  uint64_t used_bytes_ = 0;   // when the groups were asked last
  uint64_t let_through_ = 0;  // bytes since
  uint64_t known_since_ms_ = 0;
  bool asking_ = false;
  std::vector<FileContext::ErrorDone> waiting_;  // for the next answer
};

}  // namespace shima
