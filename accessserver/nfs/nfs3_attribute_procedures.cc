// NULL, GETATTR, SETATTR, ACCESS, FSSTAT, FSINFO, PATHCONF: RFC 1813 sections 3.3.0 to 3.3.4, 3.3.18
// to 3.3.20.
#include <cerrno>

#include "accessserver/nfs/nfs3_attributes.h"
#include "accessserver/nfs/nfs3_program.h"
#include "accessserver/nfs/nfs_permissions.h"

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

void Nfs3Program::null(NfsCallPtr call) { NfsCall::reply(std::move(call), {}); }

void Nfs3Program::getattr(NfsCallPtr call) {
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [](NfsCallPtr call) {
    with_attributes(std::move(call), [](NfsCallPtr call, const FileAttributes& attributes) {
      XdrWriter out;
      out.u32(0);
      put_fattr3(out, call->volume_id(), attributes);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::setattr(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  metadata::v1::SetAttributes change;
  bool valid = take_sattr3(in, *change.mutable_set());
  if (in.boolean()) {
    int64_t guard_ns = 0;
    valid &= take_nfstime3(in, guard_ns);
    change.set_guard_ctime_ns(guard_ns);
  }
  if (!in.good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [change, valid](NfsCallPtr call) {
    if (!valid) return NfsCall::fail(std::move(call), NfsStatus::kInvalid);
    if (change.set().size() > kNfsMaxFileBytes) return NfsCall::fail(std::move(call), NfsStatus::kFileTooBig);
    JobRequest job = call->job();
    *job.mutable_set_attributes() = change;
    job.mutable_set_attributes()->set_inode(call->handle.inode);
    bool guarded = change.has_guard_ctime_ns();
    run_job(std::move(call), std::move(job), [guarded](NfsCallPtr call, JobReply& reply) {
      NfsStatus status = nfs_status_of_errno(reply.error());
      if (guarded && reply.error() == EAGAIN) status = NfsStatus::kNotSynchronized;
      if (reply.has_attributes() && is_gone(reply.attributes())) status = NfsStatus::kStale;
      if (status != NfsStatus::kOk) call->count_error();
      XdrWriter out;
      out.u32(static_cast<uint32_t>(status));
      bool show = status != NfsStatus::kStale;
      put_wcc(out, call->volume_id(), show && reply.has_before() ? &reply.before() : nullptr,
              show && reply.has_attributes() ? &reply.attributes() : nullptr);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::access(NfsCallPtr call) {
  uint32_t wanted = call->arguments().u32();
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [wanted](NfsCallPtr call) {
    with_attributes(std::move(call), [wanted](NfsCallPtr call, const FileAttributes& attributes) {
      XdrWriter out;
      out.u32(0);
      put_post_op(out, call->volume_id(), &attributes);
      out.u32(allowed_access(attributes, call->credentials(), call->access.read_only, wanted));
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::fsstat(NfsCallPtr call) {
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [](NfsCallPtr call) {
    with_attributes(std::move(call), [](NfsCallPtr call, const FileAttributes& attributes) {
      FileSystem& volume = *call->volume;
      volume.statistics([call = std::move(call), attributes](VolumeStatistics now) mutable {
        if (now.error) return NfsCall::fail(std::move(call), nfs_status_of_errno(now.error));
        XdrWriter out;
        out.u32(0);
        put_post_op(out, call->volume_id(), &attributes);
        for (uint64_t value : {now.total_bytes, now.free_bytes, now.free_bytes, now.total_inodes,
                               now.free_inodes, now.free_inodes}) {
          out.u64(value);
        }
        out.u32(0);  // invarsec: others write, too
        NfsCall::reply(std::move(call), std::move(out));
      });
    });
  });
}

void Nfs3Program::fsinfo(NfsCallPtr call) {
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [](NfsCallPtr call) {
    with_attributes(std::move(call), [](NfsCallPtr call, const FileAttributes& attributes) {
      constexpr uint32_t kLink = 1, kSymlink = 2, kHomogeneous = 8, kCanSetTime = 16;
      constexpr uint32_t kMultiple = 4096;
      XdrWriter out;
      out.u32(0);
      put_post_op(out, call->volume_id(), &attributes);
      // rtmax, rtpref, rtmult, wtmax, wtpref, wtmult
      for (int i = 0; i < 2; i++) {
        for (uint32_t bytes : {kNfsMaxTransferBytes, kNfsMaxTransferBytes, kMultiple}) out.u32(bytes);
      }
      out.u32(kNfsDirectoryBytes);
      out.u64(kNfsMaxFileBytes);
      put_nfstime3(out, 1);  // time_delta
      out.u32(kLink | kSymlink | kHomogeneous | kCanSetTime);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::pathconf(NfsCallPtr call) {
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [](NfsCallPtr call) {
    with_attributes(std::move(call), [](NfsCallPtr call, const FileAttributes& attributes) {
      constexpr uint32_t kLinkMax = 65000, kNameMax = 255;
      XdrWriter out;
      out.u32(0);
      put_post_op(out, call->volume_id(), &attributes);
      out.u32(kLinkMax);
      out.u32(kNameMax);
      out.boolean(true);   // no_trunc
      out.boolean(true);   // chown_restricted
      out.boolean(false);  // case_insensitive
      out.boolean(true);   // case_preserving
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

}  // namespace shima
