#include "accessserver/fuse/fuse_server.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "accessserver/fuse/attribute_conversion.h"

namespace shima {

namespace {

constexpr int kLargestErrno = 4095;  // the kernel's MAX_ERRNO is larger than what libfuse passes on
constexpr int kLargestPassedErrno = 999;

bool is_errno(int error) { return error > 0 && error <= kLargestPassedErrno && error < kLargestErrno; }

// libfuse 3.14 has no name for FOPEN_PARALLEL_DIRECT_WRITES (kernel 6.2), without which the kernel lets one
// O_DIRECT write to a file through at a time; so open answers are put together here. Kernels that do not know
// the flag ignore it.
//
// Appends pass the page cache by as well: into a page that is not in it whole, the kernel writes up to the
// page's end in one request and the rest in the next, and another machine's append may get between the two.
fuse_open_out open_answer(const FuseServer& server, uint64_t handle, int flags) {
  fuse_open_out out{};
  out.fh = handle;
  if ((flags & (O_DIRECT | O_APPEND)) != 0 || server.options.cache == FuseCache::kNone) {
    out.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
  }
  return out;
}

// As libfuse's convert_stat(); the kernel's new_encode_dev of st_rdev.
fuse_attr kernel_attributes(const struct stat& stat) {
  fuse_attr out{};
  out.ino = stat.st_ino;
  out.size = static_cast<uint64_t>(stat.st_size);
  out.blocks = static_cast<uint64_t>(stat.st_blocks);
  out.atime = static_cast<uint64_t>(stat.st_atim.tv_sec);
  out.mtime = static_cast<uint64_t>(stat.st_mtim.tv_sec);
  out.ctime = static_cast<uint64_t>(stat.st_ctim.tv_sec);
  out.atimensec = static_cast<uint32_t>(stat.st_atim.tv_nsec);
  out.mtimensec = static_cast<uint32_t>(stat.st_mtim.tv_nsec);
  out.ctimensec = static_cast<uint32_t>(stat.st_ctim.tv_nsec);
  out.mode = stat.st_mode;
  out.nlink = static_cast<uint32_t>(stat.st_nlink);
  out.uid = stat.st_uid;
  out.gid = stat.st_gid;
  out.rdev = static_cast<uint32_t>(stat.st_rdev);
  out.blksize = static_cast<uint32_t>(stat.st_blksize);
  return out;
}

}  // namespace

Reply::Reply(FuseServer& server, fuse_req_t request) : server_(server), request_(request) {
  server_.in_flight.enter();
}

Reply::~Reply() {
  if (request_ != nullptr) error(EIO);
  server_.in_flight.leave();
}

fuse_req_t Reply::take() {
  SHIMA_CHECK(request_ != nullptr, "a FUSE request is answered once");
  return std::exchange(request_, nullptr);
}

void Reply::error(int error) { fuse_reply_err(take(), error == 0 || is_errno(error) ? error : EIO); }

void Reply::entry(const FileAttributes& attributes) {
  fuse_entry_param entry{};
  if (!to_stat(attributes, entry.attr)) return error(EIO);
  entry.ino = node_of(attributes.inode());
  entry.generation = 1;
  entry.attr_timeout = entry.entry_timeout = server_.timeout_s();
  fuse_reply_entry(take(), &entry);
}

void Reply::attributes(const FileAttributes& attributes) {
  struct stat stat {};
  if (!to_stat(attributes, stat)) return error(EIO);
  fuse_reply_attr(take(), &stat, server_.timeout_s());
}

void Reply::bytes(const void* data, size_t size) {
  fuse_reply_buf(take(), static_cast<const char*>(data), size);
}

bool Reply::opened(uint64_t handle, int flags) {
  const fuse_open_out out = open_answer(server_, handle, flags);
  return fuse_reply_buf(take(), reinterpret_cast<const char*>(&out), sizeof(out)) != -ENOENT;
}

bool Reply::created(const FileAttributes& attributes, uint64_t handle, int flags) {
  struct stat stat {};
  if (!to_stat(attributes, stat)) {
    error(EIO);
    return false;
  }
  struct {
    fuse_entry_out entry{};
    fuse_open_out open{};
  } out;
  out.entry.nodeid = node_of(attributes.inode());
  out.entry.generation = 1;
  out.entry.entry_valid = out.entry.attr_valid = server_.options.attribute_timeout_ms / 1000;
  out.entry.entry_valid_nsec = out.entry.attr_valid_nsec =
      server_.options.attribute_timeout_ms % 1000 * 1'000'000;
  out.entry.attr = kernel_attributes(stat);
  out.open = open_answer(server_, handle, flags);
  return fuse_reply_buf(take(), reinterpret_cast<const char*>(&out), sizeof(out)) != -ENOENT;
}

FuseServer& server_of(fuse_req_t request) { return *static_cast<FuseServer*>(fuse_req_userdata(request)); }

ReplyPtr reply_to(fuse_req_t request) { return std::make_shared<Reply>(server_of(request), request); }

metadata::v1::Credentials credentials_of(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  metadata::v1::Credentials credentials;
  credentials.set_uid(context->uid);
  credentials.set_gid(context->gid);
  credentials.set_checked(true);
  return credentials;
}

uint64_t thread_of(fuse_req_t request) { return static_cast<uint64_t>(fuse_req_ctx(request)->pid); }

metadata::v1::JobRequest job_of(fuse_req_t request) {
  metadata::v1::JobRequest job;
  *job.mutable_credentials() = credentials_of(request);
  job.set_session(server_of(request).files.session());
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  job.set_time_ns(to_ns(now));
  return job;
}

void run_job(const ReplyPtr& reply, metadata::v1::JobRequest job,
             std::function<void(const metadata::v1::JobReply&)> done) {
  reply->server().files.run(std::move(job),
                            [reply, done = std::move(done)](const metadata::v1::JobReply& answer) {
                              if (answer.error() != 0) return reply->error(answer.error());
                              done(answer);
                            });
}

void answer_done(const ReplyPtr& reply, metadata::v1::JobRequest job) {
  run_job(reply, std::move(job), [reply](const metadata::v1::JobReply&) { reply->done(); });
}

void close_file(FuseServer& server, uint64_t handle, std::function<void()> done) {
  // Whoever asks about locks sees that they are being released before the open is forgotten.
  const std::optional<uint64_t> locked = server.open_files.inode_with_locks(handle);
  const uint64_t number = locked ? server.lock_releases.begin(*locked) : 0;
  const OpenFiles::Closed closed = server.open_files.close(handle);
  const size_t releases = closed.owners.size() + (closed.flock_owner ? 1 : 0);
  auto finish = [&server, locked, number, closed, done = std::move(done)] {
    if (locked) server.lock_releases.end(*locked, number);
    if (closed.known) server.files.closed(closed.inode);
    done();
  };
  if (releases == 0) return finish();

  auto left = std::make_shared<std::atomic<size_t>>(releases);
  const auto release = [&, inode = closed.inode](metadata::v1::LockKind kind, uint64_t owner) {
    metadata::v1::JobRequest job;
    job.mutable_credentials()->set_checked(true);
    job.set_session(server.files.session());
    auto* locks = job.mutable_release_locks();
    locks->set_inode(inode);
    locks->set_session(server.files.session());
    locks->set_owner(owner);
    locks->set_kind(kind);
    // What cannot be released now goes with the session; a close has no use for the error.
    server.files.run(std::move(job), [left, finish](const metadata::v1::JobReply&) {
      if (left->fetch_sub(1) == 1) finish();
    });
  };
  for (const uint64_t owner : closed.owners) release(metadata::v1::LOCK_KIND_POSIX, owner);
  if (closed.flock_owner) release(metadata::v1::LOCK_KIND_FLOCK, *closed.flock_owner);
}

}  // namespace shima
