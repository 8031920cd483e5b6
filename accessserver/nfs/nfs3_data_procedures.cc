// READLINK, READ, WRITE, COMMIT: RFC 1813 sections 3.3.5 to 3.3.7 and 3.3.21.
#include <algorithm>
#include <cerrno>

#include "accessserver/nfs/nfs3_attributes.h"
#include "accessserver/nfs/nfs3_program.h"
#include "accessserver/nfs/nfs_permissions.h"

namespace shima {
namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr uint32_t kFileSync = 2;

// READ and WRITE know no ISDIR: what is not a regular file is INVAL (RFC 1813 sections 3.3.6 and 3.3.7).
NfsStatus data_status(int error) {
  return error == EISDIR ? NfsStatus::kInvalid : nfs_status_of_errno(error);
}

void reply_read(NfsCallPtr call, uint64_t offset, uint32_t count, FileBytes got) {
  if (got.error) return NfsCall::fail(std::move(call), data_status(got.error));
  if (is_gone(got.attributes)) return NfsCall::fail(std::move(call), NfsStatus::kStale);
  if (got.bytes.size() > count) got.bytes = got.bytes.slice(0, count);
  size_t size = got.bytes.size();
  bool end = got.end || (offset + size >= got.attributes.size());
  XdrWriter out;
  out.reserve(128);
  out.u32(0);
  put_post_op(out, call->volume_id(), &got.attributes);
  out.u32(static_cast<uint32_t>(size));
  out.boolean(end);
  out.opaque_attached(std::move(got.bytes));
  NfsCall::reply(std::move(call), std::move(out));
}

void reply_write(NfsCallPtr call, uint32_t size, const FileAttributes* before, const FileAttributes* after) {
  XdrWriter out;
  out.reserve(160);
  out.u32(0);
  put_wcc(out, call->volume_id(), before, after);
  out.u32(size);
  out.u32(kFileSync);
  out.u64(kNfsWriteVerifier);
  NfsCall::reply(std::move(call), std::move(out));
}

void written(NfsCallPtr call, uint32_t size, const FileWritten& done) {
  if (done.error) return NfsCall::fail(std::move(call), data_status(done.error));
  if (!done.has_attributes) return reply_write(std::move(call), size, nullptr, nullptr);
  if (is_gone(done.after)) return NfsCall::fail(std::move(call), NfsStatus::kStale);
  reply_write(std::move(call), size, &done.before, &done.after);
}

// A WRITE of nothing: succeeds where a write would be allowed.
void write_nothing(NfsCallPtr call) {
  with_attributes(std::move(call), [](NfsCallPtr call, const FileAttributes& file) {
    if (file.type() != metadata::v1::FILE_TYPE_REGULAR) {
      return NfsCall::fail(std::move(call), NfsStatus::kInvalid);
    }
    metadata::v1::Credentials caller = call->credentials();
    bool allowed = caller.uid() == file.uid() || allowed_access(file, caller, false, kAccessModify) != 0;
    if (!allowed) return NfsCall::fail(std::move(call), NfsStatus::kAccess);
    reply_write(std::move(call), 0, &file, &file);
  });
}

}  // namespace

void Nfs3Program::readlink(NfsCallPtr call) {
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [](NfsCallPtr call) {
    JobRequest job = call->job();
    job.mutable_read_link()->set_inode(call->handle.inode);
    run_job(std::move(call), std::move(job), [](NfsCallPtr call, JobReply& reply) {
      if (reply.error()) return NfsCall::fail(std::move(call), nfs_status_of_errno(reply.error()));
      if (reply.has_attributes() && is_gone(reply.attributes())) {
        return NfsCall::fail(std::move(call), NfsStatus::kStale);
      }
      XdrWriter out;
      out.u32(0);
      put_post_op(out, call->volume_id(), reply.has_attributes() ? &reply.attributes() : nullptr);
      out.opaque(reply.data());
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::read(NfsCallPtr call) {
  uint64_t offset = call->arguments().u64();
  uint32_t count = std::min(call->arguments().u32(), kNfsMaxTransferBytes);
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  call->request->charge(count);
  offset = std::min(offset, kNfsMaxFileBytes);  // no file is longer
  enter(std::move(call), [offset, count](NfsCallPtr call) {
    FileSystem& volume = *call->volume;
    uint64_t inode = call->handle.inode;
    metadata::v1::Credentials credentials = call->credentials();
    volume.read(inode, offset, count, std::move(credentials),
                [call = std::move(call), offset, count](FileBytes got) mutable {
                  reply_read(std::move(call), offset, count, std::move(got));
                });
  });
}

void Nfs3Program::write(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  uint64_t offset = in.u64();
  uint32_t count = in.u32();
  in.choice(kFileSync);  // stable: every write is
  Buffer bytes = in.opaque(in.left());
  if (!in.good()) return NfsCall::garbage(std::move(call));
  bool valid = count <= bytes.size();
  if (valid) bytes = bytes.slice(0, std::min(count, kNfsMaxTransferBytes));
  enter(std::move(call), [offset, valid, bytes = std::move(bytes)](NfsCallPtr call) mutable {
    if (!valid) return NfsCall::fail(std::move(call), NfsStatus::kInvalid);
    if (bytes.empty()) return write_nothing(std::move(call));
    uint32_t size = static_cast<uint32_t>(bytes.size());
    if (offset > kNfsMaxFileBytes - size) return NfsCall::fail(std::move(call), NfsStatus::kFileTooBig);
    FileWrite write;
    write.inode = call->handle.inode;
    write.offset = offset;
    write.bytes = std::move(bytes);
    write.credentials = call->credentials();
    FileSystem& volume = *call->volume;
    volume.write(std::move(write), [call = std::move(call), size](const FileWritten& done) mutable {
      written(std::move(call), size, done);
    });
  });
}

void Nfs3Program::commit(NfsCallPtr call) {
  call->arguments().u64();  // offset and count: everything is on disk already
  call->arguments().u32();
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [](NfsCallPtr call) {
    with_attributes(std::move(call), [](NfsCallPtr call, const FileAttributes& file) {
      if (file.type() != metadata::v1::FILE_TYPE_REGULAR) {
        return NfsCall::fail(std::move(call), NfsStatus::kInvalid);
      }
      XdrWriter out;
      out.u32(0);
      put_wcc(out, call->volume_id(), &file, &file);
      out.u64(kNfsWriteVerifier);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

}  // namespace shima
