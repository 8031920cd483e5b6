// nfsstat3 (RFC 1813 section 2.6), mountstat3, and the one table from errnos to them.
#pragma once

#include <cstdint>

#include "common/status/status.h"

namespace shima {

enum class NfsStatus : uint32_t {
  kOk = 0,
  kPermission = 1,
  kNoEntry = 2,
  kIo = 5,
  kNoDevice = 6,  // NXIO
  kAccess = 13,
  kExists = 17,
  kCrossDevice = 18,
  kNoSuchDevice = 19,
  kNotDirectory = 20,
  kIsDirectory = 21,
  kInvalid = 22,
  kFileTooBig = 27,
  kNoSpace = 28,
  kReadOnly = 30,
  kTooManyLinks = 31,
  kNameTooLong = 63,
  kNotEmpty = 66,
  kQuota = 69,
  kStale = 70,
  kRemote = 71,
  kBadHandle = 10001,
  kNotSynchronized = 10002,
  kBadCookie = 10003,
  kNotSupported = 10004,
  kTooSmall = 10005,
  kServerFault = 10006,
  kBadType = 10007,
  kJukebox = 10008,
};

// 0 is kOk; an errno that is not in the table is kIo.
NfsStatus nfs_status_of_errno(int error);
// Of opening a volume.
NfsStatus nfs_status_of(const Status& status);
// Of the statuses that mountstat3 (RFC 1813 section 5.1.5) has; kServerFault for others.
NfsStatus mount_status_of(NfsStatus status);

}  // namespace shima
