// Requests that open and close: open, create, flush, release; opendir and releasedir.
//
// What is open is told to the FileSystem (opened), so that its bytes stay when the last name goes. An inode
// that lost its last name before that was heard may be dropped at any moment: so the attributes are read
// *after* opened(). If no name is left, the open is granted only if the inode is open, here or in another
// session, or if the caller has just found a name of it that was removed since (PathWalks); else it is
// ESTALE. Only such opens cost more than one round trip.
#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr int kCreateAttempts = 64;

uint64_t begin_open(FuseServer& server, uint64_t inode) {
  const uint64_t handle = server.open_files.open(inode);
  server.files.opened(inode);
  return handle;
}

// Takes an open back that the kernel does not know of.
void undo_open(FuseServer& server, uint64_t handle) {
  close_file(server, handle, [] {});
}

struct Opening {
  ReplyPtr reply;
  uint64_t inode = 0, handle = 0;
  int flags = 0;
  uint64_t thread = 0;
  bool was_open = false;
};

void grant_open(const Opening& opening, const FileAttributes& found) {
  FuseServer& server = opening.reply->server();
  server.open_files.note_mode(found.inode(), found.mode());
  server.open_files.grant(opening.handle);
  if (!opening.reply->opened(opening.handle, opening.flags)) undo_open(server, opening.handle);
}

void refuse_open(const Opening& opening, int error) {
  undo_open(opening.reply->server(), opening.handle);
  opening.reply->error(error);
}

// The open that has begun is one of an inode without a name, and may be: it is granted when the volume knows.
void hold_open(const Opening& opening, const FileAttributes& found) {
  opening.reply->server().files.hold(opening.inode, [opening, found](int error) {
    error == 0 ? grant_open(opening, found) : refuse_open(opening, error);
  });
}

void open_nameless(Opening opening, const FileAttributes& found) {
  FuseServer& server = opening.reply->server();
  if (server.path_walks.take(opening.thread, opening.inode)) return hold_open(opening, found);
  // While this is asked, the open that has begun must not look as if somebody had the inode open.
  undo_open(server, opening.handle);
  server.files.find_who_has_open(opening.inode, [opening, found](int error) mutable {
    if (error != 0) return opening.reply->error(error);
    opening.handle = begin_open(opening.reply->server(), opening.inode);
    hold_open(opening, found);
  });
}

void open_inode(Opening opening, JobRequest job) {
  FuseServer& server = opening.reply->server();
  opening.was_open = server.open_files.opens_of(opening.inode) > 0;
  opening.handle = begin_open(server, opening.inode);
  // Without ATOMIC_O_TRUNC the kernel truncates by SETATTR; were the flag to come here all the same, it is
  // heeded.
  if ((opening.flags & O_TRUNC) != 0) {
    job.mutable_set_attributes()->set_inode(opening.inode);
    job.mutable_set_attributes()->mutable_set()->set_size(0);
  } else {
    job.mutable_get_attributes()->set_inode(opening.inode);
  }
  server.files.run(std::move(job), [opening](const JobReply& answer) {
    if (answer.error() != 0) return refuse_open(opening, answer.error());
    const FileAttributes& found = answer.attributes();
    if (found.nlink() == 0 && !opening.was_open) return open_nameless(opening, found);
    grant_open(opening, found);
  });
}

void open(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  Opening opening;
  opening.reply = reply_to(request);
  opening.inode = inode_of(node);
  opening.flags = info->flags;
  opening.thread = thread_of(request);
  open_inode(std::move(opening), job_of(request));
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
    server.open_files.grant(handle);
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
    server.open_files.grant(handle);
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
  server.path_walks.forget(thread_of(request));
  server.open_files.descriptor_closed(info->fh);
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
  server.path_walks.forget(thread_of(request));
  const uint64_t handle = begin_open(server, inode_of(node));
  server.open_files.grant(handle);
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
