#include "accessserver/nfs/nfs_status.h"

#include <cerrno>
#include <utility>

namespace shima {
namespace {

constexpr std::pair<int, NfsStatus> kErrnos[] = {
    {0, NfsStatus::kOk},
    {EPERM, NfsStatus::kPermission},
    {ENOENT, NfsStatus::kNoEntry},
    {EIO, NfsStatus::kIo},
    {ENXIO, NfsStatus::kNoDevice},
    {EACCES, NfsStatus::kAccess},
    {EEXIST, NfsStatus::kExists},
    {EXDEV, NfsStatus::kCrossDevice},
    {ENODEV, NfsStatus::kNoSuchDevice},
    {ENOTDIR, NfsStatus::kNotDirectory},
    {EISDIR, NfsStatus::kIsDirectory},
    {EINVAL, NfsStatus::kInvalid},
    {ELOOP, NfsStatus::kInvalid},
    {EFBIG, NfsStatus::kFileTooBig},
    {ENOSPC, NfsStatus::kNoSpace},
    {EROFS, NfsStatus::kReadOnly},
    {EMLINK, NfsStatus::kTooManyLinks},
    {ENAMETOOLONG, NfsStatus::kNameTooLong},
    {ENOTEMPTY, NfsStatus::kNotEmpty},
    {EDQUOT, NfsStatus::kQuota},
    {ESTALE, NfsStatus::kStale},
    {EOPNOTSUPP, NfsStatus::kNotSupported},
    {ENOSYS, NfsStatus::kNotSupported},
    // What passes by itself: the client waits and asks again (RFC 1813: JUKEBOX).
    {EAGAIN, NfsStatus::kJukebox},
    {EBUSY, NfsStatus::kJukebox},
    {EINTR, NfsStatus::kJukebox},
    {ETIMEDOUT, NfsStatus::kJukebox},
};

}  // namespace

NfsStatus nfs_status_of_errno(int error) {
  for (const auto& [number, status] : kErrnos) {
    if (number == error) return status;
  }
  return NfsStatus::kIo;
}

NfsStatus nfs_status_of(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return NfsStatus::kOk;
    case Code::kNotFound:
      return NfsStatus::kStale;
    case Code::kPermissionDenied:
      return NfsStatus::kAccess;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kNotPrimary:
    case Code::kStaleTerm:
      return NfsStatus::kJukebox;
    default:
      return NfsStatus::kIo;
  }
}

NfsStatus mount_status_of(NfsStatus status) {
  switch (status) {
    case NfsStatus::kOk:
    case NfsStatus::kPermission:
    case NfsStatus::kNoEntry:
    case NfsStatus::kIo:
    case NfsStatus::kAccess:
    case NfsStatus::kNotDirectory:
    case NfsStatus::kInvalid:
    case NfsStatus::kNameTooLong:
    case NfsStatus::kNotSupported:
      return status;
    case NfsStatus::kStale:
      return NfsStatus::kNoEntry;
    default:
      return NfsStatus::kServerFault;
  }
}

}  // namespace shima
