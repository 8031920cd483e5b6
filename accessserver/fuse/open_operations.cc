// Requests that open and close: open, create, flush, release; opendir and releasedir.
//
// What is open is told to the FileSystem (opened), so that its bytes stay when the last name goes. An inode
// that lost its last name before that was heard may be dropped at any moment: so the attributes are read
// *after* opened(), and with no name left the open is refused, unless this mount has had it open all along.
#include <fcntl.h>
#include <time.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr int kCreateAttempts = 64;
constexpr int64_t kJustNowNs = 500'000'000;

uint64_t begin_open(FuseServer& server, uint64_t inode) {
  const uint64_t handle = server.open_files.open(inode);
  server.files.opened(inode);
  return handle;
}

// Takes an open back that the kernel does not know of.
void undo_open(FuseServer& server, uint64_t handle) {
  close_file(server, handle, [] {});
}

bool just_lost_its_name(const FileAttributes& attributes) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::abs(to_ns(now) - attributes.ctime_ns()) < kJustNowNs;
}

void finish_open(const ReplyPtr& reply, uint64_t handle, int flags, bool was_open, const JobReply& answer) {
  FuseServer& server = reply->server();
  const FileAttributes& found = answer.attributes();
  const bool gone = answer.error() == 0 && found.nlink() == 0 && !was_open && !just_lost_its_name(found);
  if (answer.error() != 0 || gone) {
    undo_open(server, handle);
    return reply->error(gone ? ESTALE : answer.error());
  }
  server.open_files.note_mode(found.inode(), found.mode());
  if (!reply->opened(handle, flags)) undo_open(server, handle);
}

void open_inode(const ReplyPtr& reply, uint64_t inode, int flags, JobRequest job) {
  FuseServer& server = reply->server();
  const bool was_open = server.open_files.opens_of(inode) > 0;
  const uint64_t handle = begin_open(server, inode);
  // Without ATOMIC_O_TRUNC the kernel truncates by SETATTR; were the flag to come here all the same, it is
  // heeded.
  if ((flags & O_TRUNC) != 0) {
    job.mutable_set_attributes()->set_inode(inode);
    job.mutable_set_attributes()->mutable_set()->set_size(0);
  } else {
    job.mutable_get_attributes()->set_inode(inode);
  }
  server.files.run(std::move(job), [reply, handle, flags, was_open](const JobReply& answer) {
    finish_open(reply, handle, flags, was_open, answer);
  });
}

void open(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  open_inode(reply_to(request), inode_of(node), info->flags, job_of(request));
}

// open(2) with O_CREAT of a name that the kernel found missing a moment ago.
struct Creation {
  ReplyPtr reply;
  JobRequest job;  // Create
  int flags = 0;
  int attempts = 0;
};
void create_or_open(std::shared_ptr<Creation> creation);

// May whoever creates open a file that another machine has just made at this name? Decided without
// supplementary groups, so a "no" only makes the kernel start again and decide itself.
bool may_open(const JobRequest& job, const FileAttributes& file, int flags) {
  if (file.type() != metadata::v1::FILE_TYPE_REGULAR) return false;
  const auto& who = job.credentials();
  if (who.uid() == 0) return true;
  const int access = flags & O_ACCMODE;
  const uint32_t wanted =
      (access != O_WRONLY ? 4u : 0u) | (access != O_RDONLY || (flags & O_TRUNC) ? 2u : 0u);
  const int shift = who.uid() == file.uid() ? 6 : who.gid() == file.gid() ? 3 : 0;
  return ((file.mode() >> shift) & wanted) == wanted;
}

void open_found(const std::shared_ptr<Creation>& creation, const FileAttributes& found) {
  const ReplyPtr& reply = creation->reply;
  if (!may_open(creation->job, found, creation->flags)) return reply->error(ESTALE);
  FuseServer& server = reply->server();
  const uint64_t handle = begin_open(server, found.inode());
  JobRequest job = creation->job;
  if ((creation->flags & O_TRUNC) != 0) {
    job.mutable_set_attributes()->set_inode(found.inode());
    job.mutable_set_attributes()->mutable_set()->set_size(0);
  } else {
    job.mutable_get_attributes()->set_inode(found.inode());
  }
  server.files.run(std::move(job), [creation, handle](const JobReply& answer) {
    FuseServer& server = creation->reply->server();
    if (answer.error() != 0 || answer.attributes().nlink() == 0) {
      undo_open(server, handle);
      // Removed again meanwhile.
      if (answer.error() == 0 || answer.error() == ESTALE) return create_or_open(creation);
      return creation->reply->error(answer.error());
    }
    server.open_files.note_mode(answer.attributes().inode(), answer.attributes().mode());
    if (!creation->reply->created(answer.attributes(), handle, creation->flags)) undo_open(server, handle);
  });
}

void look_up_found(const std::shared_ptr<Creation>& creation) {
  JobRequest job = creation->job;
  auto* lookup = job.mutable_lookup();  // in place of create
  lookup->set_parent(creation->job.create().parent());
  lookup->set_name(creation->job.create().name());
  creation->reply->server().files.run(std::move(job), [creation](const JobReply& answer) {
    if (answer.error() == ENOENT) return create_or_open(creation);
    if (answer.error() != 0) return creation->reply->error(answer.error());
    open_found(creation, answer.attributes());
  });
}

void create_or_open(std::shared_ptr<Creation> creation) {
  if (++creation->attempts > kCreateAttempts) return creation->reply->error(ESTALE);
  FuseServer& server = creation->reply->server();
  JobRequest job = creation->job;
  server.files.run(std::move(job), [creation = std::move(creation)](const JobReply& answer) {
    FuseServer& server = creation->reply->server();
    if (answer.error() == EEXIST && (creation->flags & O_EXCL) == 0) return look_up_found(creation);
    if (answer.error() != 0) return creation->reply->error(answer.error());
    const uint64_t handle = begin_open(server, answer.attributes().inode());
    server.open_files.note_mode(answer.attributes().inode(), answer.attributes().mode());
    if (!creation->reply->created(answer.attributes(), handle, creation->flags)) undo_open(server, handle);
  });
}

void create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
  auto creation = std::make_shared<Creation>();
  creation->reply = reply_to(request);
  creation->flags = info->flags;
  creation->job = job_of(request);
  auto* create = creation->job.mutable_create();
  create->set_parent(inode_of(parent));
  create->set_name(name);
  create->set_type(metadata::v1::FILE_TYPE_REGULAR);
  create->mutable_set()->set_mode(mode & 07777);
  create->set_how(metadata::v1::Create::GUARDED);
  create_or_open(std::move(creation));
}

// close(2) of a descriptor: the process's POSIX locks on the file go (fcntl(2)), and close waits for that.
void flush(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  const ReplyPtr reply = reply_to(request);
  FuseServer& server = reply->server();
  if (!server.open_files.owner_closed(inode_of(node), info->lock_owner)) return reply->done();
  JobRequest job = job_of(request);
  auto* release = job.mutable_release_locks();
  release->set_inode(inode_of(node));
  release->set_session(server.files.session());
  release->set_owner(info->lock_owner);
  release->set_kind(metadata::v1::LOCK_KIND_POSIX);
  answer_done(reply, std::move(job));
}

void release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  const ReplyPtr reply = reply_to(request);
  close_file(reply->server(), info->fh, [reply] { reply->done(); });
}

void open_directory(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  const ReplyPtr reply = reply_to(request);
  FuseServer& server = reply->server();
  const uint64_t handle = begin_open(server, inode_of(node));
  fuse_file_info answer{};
  answer.fh = handle;
  if (fuse_reply_open(reply->take(), &answer) == -ENOENT) undo_open(server, handle);
}

}  // namespace

void add_open_operations(fuse_lowlevel_ops& operations) {
  operations.open = open;
  operations.create = create;
  operations.flush = flush;
  operations.release = release;
  operations.opendir = open_directory;
  operations.releasedir = release;
}

}  // namespace shima
