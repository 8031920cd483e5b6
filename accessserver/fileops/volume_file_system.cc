#include "accessserver/fileops/volume_file_system.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>

#include "coreserver/jobs/jobs.h"

namespace shima {

using metadata::v1::Credentials;
using metadata::v1::JobReply;
using metadata::v1::JobRequest;
using metadata::v1::LockRange;

namespace {

constexpr auto kCloseTimeout = std::chrono::seconds(40);  // above a volume client's deadline
constexpr uint64_t kNoQuotaBytes = 1ull << 50;            // what statfs shows of a volume without a quota
constexpr uint64_t kNoInodeQuota = 1ull << 32;

}  // namespace

FileSystemParts::FileSystemParts(VolumeAccess& volume, FileSystemOptions options)
    : context(volume, std::move(options)),
      sessions(context),
      truncations(context),
      attributes(context, truncations),
      marks(context, sessions, attributes),
      locks(context, sessions),
      quota(context),
      jobs(context, attributes, marks, locks),
      reader(context, attributes, marks),
      changer(context, sessions, attributes, marks, locks, quota),
      appends(context, sessions, changer),
      allocation(context, attributes, changer, quota),
      nameless(context, sessions),
      orphans(context) {
  sessions.on_lost([this] {
    marks.session_lost();
    locks.session_lost();
    appends.session_lost();
  });
}

std::unique_ptr<FileSystem> make_file_system(VolumeAccess& volume, const FileSystemOptions& options) {
  return std::make_unique<VolumeFileSystem>(volume, options);
}

VolumeFileSystem::VolumeFileSystem(VolumeAccess& volume, const FileSystemOptions& options)
    : volume_(volume), parts_(std::make_shared<FileSystemParts>(volume, options)) {
  parts_->context.set_owner(parts_);
  volume_.loop().post([parts = parts_] {
    parts->sessions.start();
    parts->marks.start();
    parts->orphans.start();
  });
}

VolumeFileSystem::~VolumeFileSystem() { close(); }

void VolumeFileSystem::close() {
  // If the loop has stopped, the promise dies with the task, which ends the wait as well.
  auto closed = std::make_shared<std::promise<void>>();
  std::future<void> wait = closed->get_future();
  volume_.loop().post([parts = parts_, closed = std::move(closed)] {
    parts->context.set_closing();
    parts->marks.pause_all([parts, closed] {
      parts->sessions.close([parts, closed] {
        parts->context.cancel_timers();
        closed->set_value();
      });
    });
  });
  if (!volume_.loop().on_loop_thread()) wait.wait_for(kCloseTimeout);
}

void VolumeFileSystem::with_session(std::function<void(int error)> task) {
  volume_.loop().post([parts = parts_, task = std::move(task)]() mutable {
    FileSystemParts& p = *parts;
    p.sessions.when_open(std::move(task));
  });
}

void VolumeFileSystem::run(JobRequest request, JobDone done) {
  with_session([p = parts_.get(), request = std::move(request), done = std::move(done)](int error) mutable {
    if (error == 0) return p->jobs.run(std::move(request), std::move(done));
    JobReply reply;
    reply.set_error(error);
    reply.set_message("the volume's servers did not open a session");
    done(std::move(reply));
  });
}

void VolumeFileSystem::read(uint64_t inode, uint64_t offset, uint32_t length, Credentials credentials,
                            std::function<void(FileBytes)> done) {
  with_session(
      [=, p = parts_.get(), credentials = std::move(credentials), done = std::move(done)](int error) {
        if (error == 0) return p->reader.read(inode, offset, length, credentials, done);
        FileBytes failed;
        failed.error = error;
        done(std::move(failed));
      });
}

void VolumeFileSystem::write(FileWrite write, std::function<void(FileWritten)> done) {
  FileChange change{.kind = write.append ? ChangeKind::kAppend : ChangeKind::kWrite,
                    .inode = write.inode,
                    .offset = write.append ? 0 : write.offset,
                    .bytes = std::move(write.bytes),
                    .credentials = std::move(write.credentials)};
  with_session([p = parts_.get(), change = std::move(change), done = std::move(done)](int error) mutable {
    if (error != 0) {
      FileWritten failed;
      failed.error = error;
      return done(std::move(failed));
    }
    if (change.kind == ChangeKind::kAppend) return p->appends.append(std::move(change), std::move(done));
    p->changer.change(std::move(change), std::move(done));
  });
}

void VolumeFileSystem::allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length,
                                bool keep_size, Credentials credentials,
                                std::function<void(int error)> done) {
  with_session(
      [=, p = parts_.get(), credentials = std::move(credentials), done = std::move(done)](int error) {
        if (error != 0) return done(error);
        p->allocation.allocate(inode, kind, offset, length, keep_size, credentials, done);
      });
}

void VolumeFileSystem::seek(uint64_t inode, uint64_t offset, bool hole,
                            std::function<void(int error, uint64_t offset)> done) {
  with_session([=, p = parts_.get(), done = std::move(done)](int error) {
    if (error != 0) return done(error, 0);
    p->allocation.seek(inode, offset, hole, done);
  });
}

uint64_t VolumeFileSystem::set_lock(LockRange lock, bool wait, std::function<void(int error)> done) {
  uint64_t ticket = ++last_ticket_;
  with_session([=, p = parts_.get(), lock = std::move(lock), done = std::move(done)](int error) {
    if (error != 0) return done(error);
    p->locks.set_lock(ticket, lock, wait, done);
  });
  return ticket;
}

void VolumeFileSystem::cancel(uint64_t ticket) {
  with_session([p = parts_.get(), ticket](int) { p->locks.cancel(ticket); });
}

void VolumeFileSystem::opened(uint64_t inode) {
  volume_.loop().post([parts = parts_, inode] { parts->sessions.opened(inode); });
}

void VolumeFileSystem::closed(uint64_t inode) {
  volume_.loop().post([parts = parts_, inode] { parts->sessions.closed(inode); });
}

void VolumeFileSystem::find_who_has_open(uint64_t inode, std::function<void(int error)> done) {
  with_session([p = parts_.get(), inode, done = std::move(done)](int error) {
    if (error != 0) return done(error);
    p->nameless.find_who_has_open(inode, done);
  });
}

void VolumeFileSystem::hold(uint64_t inode, std::function<void(int error)> done) {
  with_session([p = parts_.get(), inode, done = std::move(done)](int error) {
    if (error != 0) return done(error);
    p->nameless.hold(inode, done);
  });
}

namespace {

void count_usage(FileSystemParts* p, std::function<void(VolumeStatistics)> done) {
  p->context.inode_data(kRootInode, [p, done = std::move(done)](const Status& status, const InodeData& data) {
    VolumeStatistics result;
    result.error = p->context.errno_of(status);
    if (result.error != 0) return done(result);
    uint64_t quota = p->context.quota_bytes();
    result.total_bytes = quota != 0 ? quota : kNoQuotaBytes;
    result.free_bytes = result.total_bytes - std::min(result.total_bytes, data.volume_used_bytes);
    JobRequest request;
    request.mutable_get_usage();
    p->context.job(std::move(request), [done, result](const JobReply& reply) mutable {
      result.error = reply.error();
      uint64_t limit = reply.usage().max_inodes();
      result.total_inodes = limit != 0 ? limit : kNoInodeQuota;
      result.free_inodes = result.total_inodes - std::min(result.total_inodes, reply.usage().inodes());
      done(result);
    });
  });
}

}  // namespace

void VolumeFileSystem::statistics(std::function<void(VolumeStatistics)> done) {
  with_session([p = parts_.get(), done = std::move(done)](int error) {
    VolumeStatistics result;
    result.error = error;
    if (error != 0) return done(result);
    p->context.look_at_quota([p, done] { count_usage(p, done); });
  });
}

}  // namespace shima
