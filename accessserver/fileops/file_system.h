// FileSystem: one volume as a POSIX file system, for the front ends (NFS, FUSE): one interface, so that both
// behave the same.
//
// Name-space and attribute operations are jobs (api/shima/metadata/v1); this layer completes them:
// truncations are finished before anybody sees them (R18), times and sizes are merged with what the data
// groups have (R19), orphans that are open are kept. Linearizable (I6): what one caller was told is done,
// every caller of any access server sees. It caches only what it can prove current.
//
// Sessions (R21): locks are the session's. If the volume gave it up (not heard of for 20 s) a new one is
// opened by itself. An owner that had a lock then gets ENOLCK for new ones on that inode, and writes,
// truncations and punches of the inode fail with EIO, until the owner has unlocked the whole range or
// released its locks, as close(2) does. The same EIO while no KeepAlive succeeds for self_fence_after_ms and
// this session has locks on the inode.
//
// Order: an append is atomic among appends and truncations that make the file shorter. An ordinary write
// beyond the end, or a truncation that makes the file longer, through another access server at the very same
// time may come between its choice of the place and its bytes. A read or write of several blocks is several
// pieces, each ordered by itself (I6).
//
// Fencing (R20): once a core server has refused the client's identity (kFenced), every call fails with
// fenced_errno, at once.
//
// Threads: methods from any thread; callbacks on the volume client's event loop, never inside the call, and
// must not block. Errors are errnos (0: done): ETIMEDOUT when the volume's servers did not answer until the
// deadline, ESTALE when the inode is gone.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "accessserver/volume/volume_access.h"
#include "common/types/buffer.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

using FileAttributes = metadata::v1::Attributes;

struct FileWrite {
  uint64_t inode = 0;
  uint64_t offset = 0;  // bytes; ignored with append
  Buffer bytes;
  // At the end of the file, wherever that is when it happens: one appender at a time, anywhere.
  bool append = false;
  // NFS: permission is checked with these (the owner may always write, as RFC 1813 says). checked: not.
  metadata::v1::Credentials credentials;
};

struct FileWritten {
  int error = 0;
  bool has_attributes = false;
  FileAttributes before;  // pre-operation; with has_attributes
  FileAttributes after;
  uint64_t offset = 0;  // where the bytes are (append)
};

struct FileBytes {
  int error = 0;
  Buffer bytes;      // may be shorter than asked for: the file ends there
  bool end = false;  // the file ends at or before the end of these bytes
  FileAttributes attributes;
};

enum class AllocateKind : uint8_t { kAllocate, kPunchHole, kZeroRange };

struct VolumeStatistics {  // statfs(2) of the volume
  int error = 0;
  uint64_t total_bytes = 0, free_bytes = 0;
  uint64_t total_inodes = 0, free_inodes = 0;
  uint32_t block_size = 4096;
};

class FileSystem {
 public:
  using JobDone = std::function<void(metadata::v1::JobReply)>;

  virtual ~FileSystem() = default;

  // Any job but those for data and sessions (Written, WritingPaused, TruncateDone, *Session, KeepAlive,
  // ListOrphans, OrphanDropped): EINVAL. SetAttributes with a size and Create with one do the whole
  // truncation.
  virtual void run(metadata::v1::JobRequest request, JobDone done) = 0;

  // EISDIR; EINVAL: not a regular file, or length above 16 MiB; EACCES: who may execute may read, too.
  virtual void read(uint64_t inode, uint64_t offset, uint32_t length, metadata::v1::Credentials credentials,
                    std::function<void(FileBytes)> done) = 0;
  // Done only when the bytes are on disk twice (FILE_SYNC) and size and times are noted. Without attributes
  // in the answer if other access servers write to the file, too. EISDIR, EINVAL (as read), EACCES, EFBIG
  // (beyond 16 TiB), EDQUOT (the volume's quota), ENOSPC (disks).
  virtual void write(FileWrite write, std::function<void(FileWritten)> done) = 0;
  // kAllocate makes the file longer and reserves nothing: volumes are thin. kPunchHole never changes the
  // size. EDQUOT: there is not so much left of the quota now.
  virtual void allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length, bool keep_size,
                        metadata::v1::Credentials credentials, std::function<void(int error)> done) = 0;
  // SEEK_DATA, SEEK_HOLE: ENXIO as lseek(2) says.
  virtual void seek(uint64_t inode, uint64_t offset, bool hole,
                    std::function<void(int error, uint64_t offset)> done) = 0;

  // Sets a lock of this session; EAGAIN: another owner's is in the way. `wait`: tries again until it is there
  // or cancel(ticket) was called (EINTR). Returns the ticket. UNLOCK never waits.
  virtual uint64_t set_lock(metadata::v1::LockRange lock, bool wait, std::function<void(int error)> done) = 0;
  virtual void cancel(uint64_t ticket) = 0;

  // FUSE: this session has the inode open so many times: it is kept when its last name goes.
  virtual void opened(uint64_t inode) = 0;
  virtual void closed(uint64_t inode) = 0;
  // FUSE: does a session have the inode open, which has no name any more and is not open here? ESTALE: none
  // has. 0: one has, or (for one that died, up to 20 s) it is not known that none has. An exact answer takes
  // a few round trips, or, with more sessions than this one, until all have answered: 3 s at most.
  virtual void find_who_has_open(uint64_t inode, std::function<void(int error)> done) = 0;
  // FUSE: 0: the volume knows that this session has the inode open, which has no name any more, and keeps it
  // until closed(). After opened(). ESTALE: it is gone.
  virtual void hold(uint64_t inode, std::function<void(int error)> done) = 0;

  virtual void statistics(std::function<void(VolumeStatistics)> done) = 0;

  virtual uint64_t volume_id() const = 0;
  virtual uint64_t life() const = 0;
  virtual std::string volume_name() const = 0;
  virtual uint64_t session() const = 0;  // this access server's, at this volume
};

struct FileSystemOptions {
  std::string session_name;  // for people: "site-a/access-0"
  uint32_t keep_alive_ms = 2000;
  uint32_t writing_paused_after_ms = 2000;  // a mark is taken away when nothing was written for so long
  uint32_t lock_retry_min_ms = 10, lock_retry_max_ms = 250;
  // Without a KeepAlive that succeeded for so long, what relies on locks fails with EIO. Below the 20 s after
  // which the metadata primary gives the locks to others.
  uint32_t self_fence_after_ms = 15'000;
  uint32_t orphan_sweep_ms = 5000;  // how often orphans whose data may be dropped are looked for
  // A mark of another session whose data did not change for so long is a dead session's: above 20 s.
  uint32_t dead_mark_after_ms = 25'000;
  uint32_t append_lock_keep_ms = 20, append_lock_max_ms = 50;  // idle; in all, when others may wait
  std::function<int64_t()> wall_clock_ns;                      // since 1970; empty: the machine's
  int fenced_errno = EIO;  // ETIMEDOUT, if a caller who tries again may find another identity
};

// Opens the session (R21) and keeps it alive; starts dropping orphans' data in the background. `volume` must
// outlive it. Destroying it closes the session: nothing may be in flight.
std::unique_ptr<FileSystem> make_file_system(VolumeAccess& volume, const FileSystemOptions& options);

}  // namespace shima
