// Requests about attributes: getattr, setattr, statfs. chmod, chown, utimensat and truncate are all SETATTR;
// the kernel takes set-id bits away by SETATTR too (HANDLE_KILLPRIV is off).
#include <cerrno>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

void get_attributes(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  const ReplyPtr reply = reply_to(request);
  JobRequest job = job_of(request);
  job.mutable_get_attributes()->set_inode(inode_of(node));
  run_job(reply, std::move(job), [reply](const JobReply& answer) { reply->attributes(answer.attributes()); });
}

void set_attributes(fuse_req_t request, fuse_ino_t node, struct stat* stat, int to_set, fuse_file_info*) {
  const ReplyPtr reply = reply_to(request);
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0 && stat->st_size < 0) return reply->error(EINVAL);
  JobRequest job = job_of(request);
  auto* set = job.mutable_set_attributes();
  set->set_inode(inode_of(node));
  *set->mutable_set() = to_new_attributes(*stat, to_set);
  run_job(reply, std::move(job), [reply](const JobReply& answer) {
    reply->server().open_files.note_mode(answer.attributes().inode(), answer.attributes().mode());
    reply->attributes(answer.attributes());
  });
}

void statistics(fuse_req_t request, fuse_ino_t) {
  const ReplyPtr reply = reply_to(request);
  reply->server().files.statistics([reply](const VolumeStatistics& statistics) {
    if (statistics.error != 0) return reply->error(statistics.error);
    const struct statvfs out = to_statvfs(statistics);
    fuse_reply_statfs(reply->take(), &out);
  });
}

}  // namespace

void add_attribute_operations(fuse_lowlevel_ops& operations) {
  operations.getattr = get_attributes;
  operations.setattr = set_attributes;
  operations.statfs = statistics;
}

}  // namespace shima
