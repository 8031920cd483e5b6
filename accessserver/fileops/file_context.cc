#include "accessserver/fileops/file_context.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {
constexpr uint64_t kQuotaLookMs = 1000;
}  // namespace

int FileContext::errno_of(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return 0;
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kInvalidArgument:
      return EINVAL;
    case Code::kPermissionDenied:
      return EROFS;  // the node's publication is for reading
    case Code::kFenced:
      fenced_ = true;  // whoever made the volume client was told, and logs it once
      return options_.fenced_errno;
    default:
      break;
  }
  uint64_t suppressed = 0;
  if (trouble_.allow("trouble", now_ms(), suppressed)) {
    log(LogLevel::kWarning, "fileops",
        "volume " + layout_.name + ": input/output error: " + status.to_string() + " (" +
            std::to_string(suppressed) + " more not shown)");
  }
  // Who can wait (an NFS client with a hard mount) tries again.
  bool may_pass = status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
  return may_pass ? ETIMEDOUT : EIO;
}

FileContext::FileContext(VolumeAccess& volume, FileSystemOptions options)
    : volume_(volume), options_(std::move(options)), layout_(volume.layout()) {}

void FileContext::job(JobRequest request, JobDone done) {
  request.set_session(session_);
  // Not below any stamp: utimes(2) makes void what was stamped before it.
  request.set_time_ns(std::max(wall_clock_ns(), last_stamp_ns_));
  volume_.run_job(request,
                  [this, keep = owner_.lock(), done = std::move(done)](Status status, JobReply reply) {
                    if (!status.is_ok()) {
                      reply.Clear();
                      reply.set_error(errno_of(status));
                      reply.set_message(status.to_string());
                    }
                    done(std::move(reply));
                  });
}

void FileContext::read(uint64_t inode, uint64_t offset, uint64_t length, VolumeAccess::BytesDone done) {
  volume_.read_file(
      InodeId(inode), offset, length,
      [keep = owner_.lock(), done = std::move(done)](Status status, Buffer bytes, uint64_t fence) {
        done(std::move(status), std::move(bytes), fence);
      });
}

void FileContext::write(uint64_t inode, uint64_t offset, Buffer bytes, WriteTags tags,
                        VolumeAccess::Done done) {
  volume_.write_file(
      InodeId(inode), offset, std::move(bytes), tags,
      [keep = owner_.lock(), done = std::move(done)](Status status) { done(std::move(status)); });
}

void FileContext::punch(uint64_t inode, uint64_t offset, uint64_t length, WriteTags tags,
                        VolumeAccess::Done done) {
  volume_.punch_file(
      InodeId(inode), offset, length, tags,
      [keep = owner_.lock(), done = std::move(done)](Status status) { done(std::move(status)); });
}

void FileContext::truncate(uint64_t inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                           VolumeAccess::Done done) {
  volume_.truncate_file(
      InodeId(inode), from, upto, fence, remove,
      [keep = owner_.lock(), done = std::move(done)](Status status) { done(std::move(status)); });
}

void FileContext::inode_data(uint64_t inode, VolumeAccess::InodeDone done) {
  volume_.inode_data(InodeId(inode), [keep = owner_.lock(), done = std::move(done)](
                                         Status status, InodeData data) { done(std::move(status), data); });
}

void FileContext::seek(uint64_t inode, uint64_t offset, uint64_t end, bool hole,
                       VolumeAccess::SeekDone done) {
  volume_.seek_file(InodeId(inode), offset, end, hole,
                    [keep = owner_.lock(), done = std::move(done)](
                        Status status, std::optional<uint64_t> found) { done(std::move(status), found); });
}

void FileContext::look_at_quota(std::function<void()> task) {
  auto once = [task = std::make_shared<std::function<void()>>(std::move(task))] {
    if (auto waiting = std::exchange(*task, nullptr)) waiting();
  };
  volume_.refresh_layout([keep = owner_.lock(), once](const Status&) { once(); });
  after(kQuotaLookMs, once);
}

void FileContext::after(uint64_t delay_ms, std::function<void()> task) {
  if (closed_) return;
  auto id = std::make_shared<EventLoop::TimerId>();
  *id = volume_.loop().after(delay_ms, [this, owner = owner_, id, task = std::move(task)] {
    auto keep = owner.lock();
    if (keep == nullptr) return;
    timers_.erase(*id);
    task();
  });
  timers_.insert(*id);
}

void FileContext::cancel_timers() {
  closed_ = true;
  for (EventLoop::TimerId id : std::exchange(timers_, {})) volume_.loop().cancel(id);
}

void FileContext::at_end_of_turn(std::function<void()> task) {
  volume_.loop().at_end_of_turn([keep = owner_.lock(), task = std::move(task)] { task(); });
}

void FileContext::again(uint32_t tries, std::function<void()> task) {
  if (tries < 3) return at_end_of_turn(std::move(task));
  after(std::min<uint64_t>(1ull << std::min<uint32_t>(tries - 3, 7), 100), std::move(task));
}

int64_t FileContext::wall_clock_ns() const {
  if (options_.wall_clock_ns) return options_.wall_clock_ns();
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count();
}

int64_t FileContext::stamp_ns(int64_t floor_ns) {
  return last_stamp_ns_ = std::max({wall_clock_ns(), floor_ns + 1, last_stamp_ns_ + 1});
}

}  // namespace shima
