// Requests about a file's bytes: read, write, fallocate, lseek. fsync has no handler: libfuse answers ENOSYS,
// and the kernel takes that for "nothing to do, and do not ask again", which is right: a write is on disk
// twice when it is answered (R21). copy_file_range has none: the kernel copies by reading and writing.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

#include "accessserver/fuse/attribute_conversion.h"
#include "accessserver/fuse/fuse_server.h"

namespace shima {

namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr size_t kLargestTransfer = 16 << 20;  // bytes; the kernel asks for 1 MiB at most

void read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, fuse_file_info*) {
  const ReplyPtr reply = reply_to(request);
  if (offset < 0) return reply->error(EINVAL);
  const auto length = static_cast<uint32_t>(std::min(size, kLargestTransfer));
  reply->server().files.read(inode_of(node), static_cast<uint64_t>(offset), length, credentials_of(request),
                             [reply, length](const FileBytes& read) {
                               if (read.error != 0) return reply->error(read.error);
                               reply->bytes(read.bytes.data(), std::min<size_t>(read.bytes.size(), length));
                             });
}

// The payload, out of the pipe that libfuse spliced it into (or out of its buffer): the only copy on the way.
bool receive(fuse_bufvec* from, Buffer& bytes) {
  const size_t size = fuse_buf_size(from);
  if (size > kLargestTransfer) return false;
  ssize_t copied = 0;
  bytes = Buffer::make(size, [&](uint8_t* memory) {
    fuse_bufvec to = FUSE_BUFVEC_INIT(size);
    to.buf[0].mem = memory;
    copied = fuse_buf_copy(&to, from, static_cast<fuse_buf_copy_flags>(0));
  });
  return copied >= 0 && static_cast<size_t>(copied) == size;
}

void run_write(const ReplyPtr& reply, FileWrite write) {
  const size_t size = write.bytes.size();
  reply->server().files.write(std::move(write), [reply, size](const FileWritten& written) {
    if (written.error != 0) return reply->error(written.error);
    fuse_reply_write(reply->take(), size);
  });
}

// A write without privilege takes set-id bits away. The kernel does that by SETATTR, except before writes
// that pass its page cache by; after it has done so there is nothing left to take.
void take_set_id_bits(const ReplyPtr& reply, const JobRequest& who, uint64_t inode,
                      std::function<void()> done) {
  JobRequest look = who;
  look.mutable_get_attributes()->set_inode(inode);
  run_job(reply, std::move(look), [reply, who, inode, done = std::move(done)](const JobReply& answer) {
    uint32_t mode = answer.attributes().mode() & ~static_cast<uint32_t>(S_ISUID);
    if ((mode & S_IXGRP) != 0) mode &= ~static_cast<uint32_t>(S_ISGID);
    if (mode == answer.attributes().mode()) return done();
    JobRequest change = who;
    change.mutable_set_attributes()->set_inode(inode);
    change.mutable_set_attributes()->mutable_set()->set_mode(mode);
    run_job(reply, std::move(change), [done](const JobReply&) { done(); });
  });
}

void write(fuse_req_t request, fuse_ino_t node, fuse_bufvec* payload, off_t offset, fuse_file_info* info) {
  const ReplyPtr reply = reply_to(request);
  FileWrite write;
  if (offset < 0) return reply->error(EINVAL);
  if (!receive(payload, write.bytes)) return reply->error(EIO);
  write.inode = inode_of(node);
  write.offset = static_cast<uint64_t>(offset);
  // The kernel's offset of an append is only its guess of the end. Pages that mmap dirtied stay where they
  // are.
  write.append = (info->flags & O_APPEND) != 0 && !info->writepage;
  write.credentials = credentials_of(request);
  const bool may_stay = info->writepage || write.credentials.uid() == 0;
  if (may_stay || !reply->server().open_files.take_set_id_note(write.inode)) {
    return run_write(reply, std::move(write));
  }
  take_set_id_bits(reply, job_of(request), inode_of(node), [reply, write] { run_write(reply, write); });
}

void allocate(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t length, fuse_file_info*) {
  const ReplyPtr reply = reply_to(request);
  if (offset < 0 || length <= 0) return reply->error(EINVAL);
  AllocateKind kind = AllocateKind::kAllocate;
  switch (mode) {
    case 0:
    case FALLOC_FL_KEEP_SIZE:
      break;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      kind = AllocateKind::kPunchHole;
      break;
    case FALLOC_FL_ZERO_RANGE:
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      kind = AllocateKind::kZeroRange;
      break;
    default:
      return reply->error(EOPNOTSUPP);
  }
  reply->server().files.allocate(inode_of(node), kind, static_cast<uint64_t>(offset),
                                 static_cast<uint64_t>(length), (mode & FALLOC_FL_KEEP_SIZE) != 0,
                                 credentials_of(request), [reply](int error) { reply->error(error); });
}

void seek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence, fuse_file_info*) {
  const ReplyPtr reply = reply_to(request);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return reply->error(EINVAL);
  if (offset < 0) return reply->error(ENXIO);
  reply->server().files.seek(inode_of(node), static_cast<uint64_t>(offset), whence == SEEK_HOLE,
                             [reply](int error, uint64_t found) {
                               if (error != 0) return reply->error(error);
                               fuse_reply_lseek(reply->take(), static_cast<off_t>(found));
                             });
}

}  // namespace

void add_data_operations(fuse_lowlevel_ops& operations) {
  operations.read = read;
  operations.write_buf = write;
  operations.fallocate = allocate;
  operations.lseek = seek;
}

}  // namespace shima
