// Requests about names: lookup, forget, mknod, mkdir, symlink, link, unlink, rmdir, rename, readlink.
#include <linux/fs.h>  // RENAME_*
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <string_view>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

// For jobs whose reply has the attributes of what the name means.
void answer_entry(const ReplyPtr& reply, JobRequest job) {
  run_job(reply, std::move(job), [reply](const JobReply& answer) { reply->entry(answer.attributes()); });
}

// "." comes only from whoever has a file handle (EXPORT_SUPPORT) of an inode that the kernel does not know
// (any more): `node` may be any. Without a name it is there only for those who have it open.
void look_up_handle(fuse_req_t request, fuse_ino_t node) {
  const ReplyPtr reply = reply_to(request);
  reply->server().path_walks.forget(thread_of(request));
  JobRequest job = job_of(request);
  job.mutable_get_attributes()->set_inode(inode_of(node));
  run_job(reply, std::move(job), [reply](const JobReply& answer) {
    FuseServer& server = reply->server();
    const FileAttributes& found = answer.attributes();
    if (found.nlink() > 0 || server.open_files.opens_of(found.inode()) > 0) return reply->entry(found);
    server.files.find_who_has_open(found.inode(), [reply, found](int error) {
      if (error != 0) return reply->error(error);
      reply->entry(found);
    });
  });
}

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (std::string_view(name) == ".") return look_up_handle(request, parent);
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  job.mutable_lookup()->set_parent(inode_of(parent));
  job.mutable_lookup()->set_name(name);
  run_job(reply, std::move(job), [reply, thread = thread_of(request)](const JobReply& answer) {
    reply->server().path_walks.found(thread, answer.attributes().inode());
    reply->entry(answer.attributes());
  });
}

// Nothing is kept for a node that the kernel knows: numbers are never given twice, and what is open is
// counted by open and release.
void forget(fuse_req_t request, fuse_ino_t, uint64_t) { fuse_reply_none(request); }
void forget_multi(fuse_req_t request, size_t, fuse_forget_data*) { fuse_reply_none(request); }

metadata::v1::Create* create_job(JobRequest& job, fuse_ino_t parent, const char* name, mode_t mode) {
  auto* create = job.mutable_create();
  create->set_parent(inode_of(parent));
  create->set_name(name);
  create->set_type(file_type_of(mode));
  create->mutable_set()->set_mode(mode & 07777);  // the kernel has applied the umask
  create->set_how(metadata::v1::Create::GUARDED);
  return create;
}

void make_node(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  auto* create = create_job(job, parent, name, mode);
  if (create->type() == metadata::v1::FILE_TYPE_UNSPECIFIED || S_ISDIR(mode) || S_ISLNK(mode)) {
    return reply->error(EINVAL);
  }
  if (S_ISBLK(mode) || S_ISCHR(mode)) {
    create->set_rdev_major(major(device));
    create->set_rdev_minor(minor(device));
  }
  answer_entry(reply, std::move(job));
}

void make_directory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  create_job(job, parent, name, (mode & 07777) | S_IFDIR);
  answer_entry(reply, std::move(job));
}

void symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  create_job(job, parent, name, 0777 | S_IFLNK)->set_target(target);
  answer_entry(reply, std::move(job));
}

void link(fuse_req_t request, fuse_ino_t node, fuse_ino_t parent, const char* name) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  auto* link = job.mutable_link();
  link->set_inode(inode_of(node));
  link->set_parent(inode_of(parent));
  link->set_name(name);
  answer_entry(reply, std::move(job));
}

void remove(fuse_req_t request, fuse_ino_t parent, const char* name, bool directory) {
  const ReplyPtr reply = reply_to(request);
  reply->server().path_walks.forget(thread_of(request));
  JobRequest job = job_of(request);
  auto* remove = job.mutable_remove();
  remove->set_parent(inode_of(parent));
  remove->set_name(name);
  remove->set_directory(directory);
  answer_done(reply, std::move(job));
}

void unlink(fuse_req_t request, fuse_ino_t parent, const char* name) { remove(request, parent, name, false); }
void remove_directory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  remove(request, parent, name, true);
}

void rename(fuse_req_t request, fuse_ino_t from_parent, const char* from_name, fuse_ino_t to_parent,
            const char* to_name, unsigned int flags) {
  const ReplyPtr reply = reply_to(request);
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return reply->error(EINVAL);
  reply->server().path_walks.forget(thread_of(request));
  JobRequest job = job_of(request);
  auto* rename = job.mutable_rename();
  rename->set_from_parent(inode_of(from_parent));
  rename->set_from_name(from_name);
  rename->set_to_parent(inode_of(to_parent));
  rename->set_to_name(to_name);
  rename->set_no_replace((flags & RENAME_NOREPLACE) != 0);
  rename->set_exchange((flags & RENAME_EXCHANGE) != 0);
  answer_done(reply, std::move(job));
}

void read_link(fuse_req_t request, fuse_ino_t node) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  job.mutable_read_link()->set_inode(inode_of(node));
  run_job(reply, std::move(job),
          [reply](const JobReply& answer) { reply->bytes(answer.data().data(), answer.data().size()); });
}

}  // namespace

void add_name_operations(fuse_lowlevel_ops& operations) {
  operations.lookup = lookup;
  operations.forget = forget;
  operations.forget_multi = forget_multi;
  operations.mknod = make_node;
  operations.mkdir = make_directory;
  operations.symlink = symlink;
  operations.link = link;
  operations.unlink = unlink;
  operations.rmdir = remove_directory;
  operations.rename = rename;
  operations.readlink = read_link;
}

}  // namespace shima
