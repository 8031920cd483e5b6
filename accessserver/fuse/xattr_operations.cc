// Requests about extended attributes. user.* and trusted.* are kept (the kernel checks who may). system.* is
// refused: an ACL that nobody heeds is worse than none. security.* is refused: before each write the kernel
// would ask for security.capability, one job a write.
#include <sys/xattr.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

bool is_kept(std::string_view name) { return name.starts_with("user.") || name.starts_with("trusted."); }

void set_xattr(fuse_req_t request, fuse_ino_t node, const char* name, const char* value, size_t size,
               int flags) {
  const ReplyPtr reply = reply_to(request);
  if (!is_kept(name)) return reply->error(EOPNOTSUPP);
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0) return reply->error(EINVAL);
  JobRequest job = job_of(request);
  auto* set = job.mutable_set_xattr();
  set->set_inode(inode_of(node));
  set->set_name(name);
  set->set_value(value, size);
  set->set_create((flags & XATTR_CREATE) != 0);
  set->set_replace((flags & XATTR_REPLACE) != 0);
  answer_done(reply, std::move(job));
}

// getxattr(2), listxattr(2): size 0 asks how much there is.
void answer_sized(const ReplyPtr& reply, const std::string& value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(reply->take(), value.size());
  } else if (value.size() > size) {
    reply->error(ERANGE);
  } else {
    reply->bytes(value.data(), value.size());
  }
}

void get_xattr(fuse_req_t request, fuse_ino_t node, const char* name, size_t size) {
  const ReplyPtr reply = reply_to(request);
  // ENODATA for security.capability, which the kernel asks for by itself: "this file has none".
  if (!is_kept(name))
    return reply->error(std::string_view(name).starts_with("security.") ? ENODATA : EOPNOTSUPP);
  JobRequest job = job_of(request);
  job.mutable_get_xattr()->set_inode(inode_of(node));
  job.mutable_get_xattr()->set_name(name);
  run_job(reply, std::move(job),
          [reply, size](const JobReply& answer) { answer_sized(reply, answer.data(), size); });
}

void list_xattrs(fuse_req_t request, fuse_ino_t node, size_t size) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  job.mutable_list_xattrs()->set_inode(inode_of(node));
  const bool privileged = job.credentials().uid() == 0;  // xattr(7): trusted.* shows to CAP_SYS_ADMIN only
  run_job(reply, std::move(job), [reply, size, privileged](const JobReply& answer) {
    std::string names;
    for (const std::string& name : answer.names()) {
      if (privileged || !name.starts_with("trusted.")) names.append(name).push_back('\0');
    }
    answer_sized(reply, names, size);
  });
}

void remove_xattr(fuse_req_t request, fuse_ino_t node, const char* name) {
  const ReplyPtr reply = reply_to(request);
  if (!is_kept(name))
    return reply->error(std::string_view(name).starts_with("security.") ? ENODATA : EOPNOTSUPP);
  JobRequest job = job_of(request);
  job.mutable_remove_xattr()->set_inode(inode_of(node));
  job.mutable_remove_xattr()->set_name(name);
  answer_done(reply, std::move(job));
}

}  // namespace

void add_xattr_operations(fuse_lowlevel_ops& operations) {
  operations.setxattr = set_xattr;
  operations.getxattr = get_xattr;
  operations.listxattr = list_xattrs;
  operations.removexattr = remove_xattr;
}

}  // namespace shima
