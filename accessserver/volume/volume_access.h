// VolumeAccess: what the file layer (accessserver/fileops) needs of a volume: jobs at the metadata primary
// and bytes of files at the data groups' primaries.
//
// VolumeClient is the real one; tests run the file layer over one in memory
// (tests/unit/accessserver/fileops). Threads: methods from any thread; callbacks on the client's event loop
// (loop()), never inside the call, and must not block. Retries, routing and request ids are the
// implementation's; an error Status means that the deadline passed, the volume is gone, or the server refused
// for good (kNoSpace, kStaleFence, kInvalidArgument).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "accessserver/volume/volume_layout.h"
#include "common/runtime/event_loop.h"
#include "common/status/status.h"
#include "common/types/buffer.h"
#include "common/types/ids.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

// What goes with each change of a file's bytes (R18, R19).
struct WriteTags {
  uint64_t fence = 0;   // truncate_sequence as the writer knows it; kStaleFence: a group knows more
  int64_t time_ns = 0;  // mtime; 0: does not change
};

// What the data groups together know of an inode.
struct InodeData {
  uint64_t fence = 0;              // highest truncate sequence
  int64_t mtime_ns = 0;            // newest
  uint64_t changes = 0;            // sum
  uint64_t used_bytes = 0;         // allocated to the inode, about
  uint64_t volume_used_bytes = 0;  // allocated to all inodes of the volume
};

class VolumeAccess {
 public:
  using JobDone = std::function<void(Status, metadata::v1::JobReply)>;
  using BytesDone = std::function<void(Status, Buffer, uint64_t fence)>;  // fence: highest of the groups read
  using Done = std::function<void(Status)>;
  using InodeDone = std::function<void(Status, InodeData)>;
  using SeekDone = std::function<void(Status, std::optional<uint64_t> offset)>;

  virtual ~VolumeAccess() = default;

  virtual void run_job(const metadata::v1::JobRequest& request, JobDone done) = 0;

  // Bytes that were never written read as zeros. Length at most 16 MiB.
  virtual void read_file(InodeId inode, uint64_t offset, uint64_t length, BytesDone done) = 0;
  virtual void write_file(InodeId inode, uint64_t offset, Buffer bytes, WriteTags tags, Done done) = 0;
  virtual void punch_file(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags, Done done) = 0;
  // Drops all bytes in [from, upto) (upto: the inode's high water) at every group that may hold some, once
  // for a fence: a repetition does nothing. `remove`: the inode is gone for ever.
  virtual void truncate_file(InodeId inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                             Done done) = 0;
  // Asks every data group.
  virtual void inode_data(InodeId inode, InodeDone done) = 0;
  // First byte of data (hole: of a hole) at or after `offset` and below `end`; nothing: there is none.
  virtual void seek_file(InodeId inode, uint64_t offset, uint64_t end, bool hole, SeekDone done) = 0;

  virtual VolumeLayout layout() const = 0;
  // Reads the volume's record anew: layout() then has the size that it was given last. An error: nobody who
  // knows it answers; layout() is as it was.
  virtual void refresh_layout(Done done) = 0;
  virtual EventLoop& loop() = 0;
};

}  // namespace shima
