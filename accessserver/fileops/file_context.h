// FileContext: what all parts of the file layer stand on: the volume, the session's number, stamps and
// timers.
//
// Every callback given to it keeps the file layer alive until it was called; timers do not. Threads: the
// volume's loop only, but for session().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>

#include "accessserver/fileops/file_system.h"
#include "accessserver/volume/volume_access.h"
#include "common/observe/log.h"

namespace shima {

class FileContext {
 public:
  using JobDone = std::function<void(metadata::v1::JobReply)>;
  using ErrorDone = std::function<void(int error)>;  // errno; 0: done

  FileContext(VolumeAccess& volume, FileSystemOptions options);
  void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  const FileSystemOptions& options() const { return options_; }
  uint64_t session() const { return session_; }  // any thread
  void set_session(uint64_t session) { session_ = session; }
  // No more background work: the file system is being closed.
  bool closing() const { return closing_; }
  void set_closing() { closing_ = true; }

  // Runs a job in the session's name. Trouble with servers becomes an errno in the reply.
  void job(metadata::v1::JobRequest request, JobDone done);
  void read(uint64_t inode, uint64_t offset, uint64_t length, VolumeAccess::BytesDone done);
  void write(uint64_t inode, uint64_t offset, Buffer bytes, WriteTags tags, VolumeAccess::Done done);
  void punch(uint64_t inode, uint64_t offset, uint64_t length, WriteTags tags, VolumeAccess::Done done);
  void truncate(uint64_t inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                VolumeAccess::Done done);
  void inode_data(uint64_t inode, VolumeAccess::InodeDone done);
  void seek(uint64_t inode, uint64_t offset, uint64_t end, bool hole, VolumeAccess::SeekDone done);

  void after(uint64_t delay_ms, std::function<void()> task);
  // Forgets all that waits for time, and what will: the file system is closed.
  void cancel_timers();
  void at_end_of_turn(std::function<void()> task);
  // Runs the task after a pause that grows with `tries`: what is tried again because somebody else was
  // faster.
  void again(uint32_t tries, std::function<void()> task);
  uint64_t now_ms() const { return volume_.loop().now_ms(); }

  // The errno that a caller sees for an error of the volume; the log has the rest.
  int errno_of(const Status& status);
  // A core server has refused the client's identity (R20): nothing will be done for it any more.
  bool fenced() const { return fenced_; }

  // mtime of a new write: the wall clock, above `floor_ns` and above all stamps before.
  int64_t stamp_ns(int64_t floor_ns);
  uint64_t quota_bytes() const { return volume_.layout().size_bytes; }
  // Calls `task` when quota_bytes() is as set last, or nobody has answered within a second.
  void look_at_quota(std::function<void()> task);
  const VolumeLayout& first_layout() const { return layout_; }  // name, id and life do not change

 private:
  int64_t wall_clock_ns() const;

  VolumeAccess& volume_;
  const FileSystemOptions options_;
  const VolumeLayout layout_;
  std::weak_ptr<void> owner_;
  std::atomic<uint64_t> session_{0};
  bool closing_ = false, closed_ = false, fenced_ = false;
  std::set<EventLoop::TimerId> timers_;
  int64_t last_stamp_ns_ = 0;
  LogLimit trouble_{10'000};
};

// After so many rounds of "somebody else was faster" an operation fails with EIO.
inline constexpr uint32_t kMaxTries = 100;

}  // namespace shima
