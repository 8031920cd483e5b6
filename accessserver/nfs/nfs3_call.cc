#include "accessserver/nfs/nfs3_call.h"

#include "accessserver/nfs/nfs_permissions.h"

namespace shima {
namespace {

constexpr size_t kMaxHandleBytes = 64;  // NFS3_FHSIZE
constexpr size_t kMaxNameBytes = 255;

// Words after the status in each procedure's failure results, all "no attributes follow": post_op_attr one,
// wcc_data two.
constexpr std::array<uint8_t, kNfs3Procedures> kFailureWords = {
    0,  // NULL
    0,  // GETATTR
    2,  // SETATTR
    1,  // LOOKUP
    1,  // ACCESS
    1,  // READLINK
    1,  // READ
    2,  // WRITE
    2,  // CREATE
    2,  // MKDIR
    2,  // SYMLINK
    2,  // MKNOD
    2,  // REMOVE
    2,  // RMDIR
    4,  // RENAME
    3,  // LINK
    1,  // READDIR
    1,  // READDIRPLUS
    1,  // FSSTAT
    1,  // FSINFO
    1,  // PATHCONF
    2,  // COMMIT
};

}  // namespace

metadata::v1::Credentials NfsCall::credentials() const {
  return credentials_of(request->call().credentials, access);
}

metadata::v1::JobRequest NfsCall::job() const {
  metadata::v1::JobRequest job;
  *job.mutable_credentials() = credentials();
  job.set_retry_key(request->retry_key());
  return job;
}

std::string NfsCall::handle_of(uint64_t inode) const {
  NfsHandle other = handle;
  other.inode = inode;
  return other.encode();
}

void NfsCall::reply(NfsCallPtr call, XdrWriter results) {
  RpcRequest::reply(std::move(call->request), std::move(results));
  call.reset();
}

void NfsCall::fail(NfsCallPtr call, NfsStatus status) {
  call->count_error();
  XdrWriter out;
  out.u32(static_cast<uint32_t>(status));
  for (int i = 0; i < kFailureWords[call->procedure]; i++) out.boolean(false);
  reply(std::move(call), std::move(out));
}

void NfsCall::garbage(NfsCallPtr call) {
  call->count_error();
  RpcRequest::fail(std::move(call->request), RpcAcceptStatus::kGarbageArguments);
  call.reset();
}

std::optional<NfsHandle> take_handle(XdrReader& in) {
  return NfsHandle::decode(in.opaque(kMaxHandleBytes).span());
}

NfsStatus check_name(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos) {
    return NfsStatus::kAccess;
  }
  return name.size() > kMaxNameBytes ? NfsStatus::kNameTooLong : NfsStatus::kOk;
}

}  // namespace shima
