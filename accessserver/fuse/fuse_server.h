// What the handlers of FUSE requests share, and Reply: the one answer to each request.
//
// Handlers run on libfuse's threads: they decode, hand over to the FileSystem, and return; the answer is sent
// from the FileSystem's loop. A handler that has no answer yet keeps a shared_ptr<Reply>; dropping the last
// one without an answer answers EIO.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "accessserver/fileops/file_system.h"
#include "accessserver/fuse/fuse_library.h"
#include "accessserver/fuse/fuse_mount.h"
#include "accessserver/fuse/in_flight.h"
#include "accessserver/fuse/lock_releases.h"
#include "accessserver/fuse/open_files.h"
#include "accessserver/fuse/path_walks.h"
#include "accessserver/fuse/waiting_locks.h"
#include "common/runtime/event_loop.h"

namespace shima {

struct FuseServer {
  FileSystem& files;
  const FuseOptions& options;
  InFlight in_flight{};
  OpenFiles open_files{};
  WaitingLocks waiting_locks{};
  LockReleases lock_releases{};
  EventLoop pauses{"shima-fuse-wait"};  // started by the mount
  PathWalks path_walks{};
  std::function<void()> initialized{};     // set by the mount; called once, on a thread of libfuse
  std::atomic<bool> has_answered = false;  // anything: INIT

  double timeout_s() const { return options.attribute_timeout_ms / 1000.0; }
};

class Reply {
 public:
  Reply(FuseServer& server, fuse_req_t request);
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  FuseServer& server() const { return server_; }
  fuse_req_t request() const { return request_; }  // until it is answered

  // Each answers. What no kernel should see (an errno or attributes that make no sense) is EIO instead.
  void error(int error);
  void done() { error(0); }
  void entry(const FileAttributes& attributes);
  void attributes(const FileAttributes& attributes);
  void bytes(const void* data, size_t size);
  // False: the kernel has given up on the request and knows of no open: undo it.
  bool opened(uint64_t handle, int flags);
  bool created(const FileAttributes& attributes, uint64_t handle, int flags);
  // Takes the request, for answers that libfuse has functions of its own for.
  fuse_req_t take();

 private:
  FuseServer& server_;
  fuse_req_t request_;
};

using ReplyPtr = std::shared_ptr<Reply>;

FuseServer& server_of(fuse_req_t request);
ReplyPtr reply_to(fuse_req_t request);
// On whose behalf the request is; the kernel has checked permissions.
metadata::v1::Credentials credentials_of(fuse_req_t request);
metadata::v1::JobRequest job_of(fuse_req_t request);
// The thread that the request comes from; 0: not known.
uint64_t thread_of(fuse_req_t request);
// Runs the job; an error answers the request, else `done` does.
void run_job(const ReplyPtr& reply, metadata::v1::JobRequest job,
             std::function<void(const metadata::v1::JobReply&)> done);
// The same for jobs whose reply holds nothing for the kernel.
void answer_done(const ReplyPtr& reply, metadata::v1::JobRequest job);
// Closes an open (RELEASE, or one that failed half way, or the end of the mount): its locks go first. `done`
// on any thread, perhaps inside the call.
void close_file(FuseServer& server, uint64_t handle, std::function<void()> done);

// Each family of requests adds its handlers.
void add_name_operations(fuse_lowlevel_ops& operations);
void add_attribute_operations(fuse_lowlevel_ops& operations);
void add_xattr_operations(fuse_lowlevel_ops& operations);
void add_directory_operations(fuse_lowlevel_ops& operations);
void add_open_operations(fuse_lowlevel_ops& operations);
void add_data_operations(fuse_lowlevel_ops& operations);
void add_lock_operations(fuse_lowlevel_ops& operations);

}  // namespace shima
