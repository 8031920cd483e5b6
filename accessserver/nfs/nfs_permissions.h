// Who a client's request is on behalf of (squashing), and what mode bits let him do (NFSv3 ACCESS).
#pragma once

#include <cstdint>

#include "accessserver/nfs/rpc/rpc_message.h"
#include "accessserver/server/exports.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

// AUTH_NONE is the anonymous user. Root squash replaces user, group and supplementary groups 0.
metadata::v1::Credentials credentials_of(const RpcCredentials& caller, const Access& access);

// Bits of RFC 1813 section 3.3.4.
inline constexpr uint32_t kAccessRead = 1, kAccessLookup = 2, kAccessModify = 4, kAccessExtend = 8,
                          kAccessDelete = 16, kAccessExecute = 32;

// Which of `wanted` are allowed.
uint32_t allowed_access(const FileAttributes& file, const metadata::v1::Credentials& caller, bool read_only,
                        uint32_t wanted);

}  // namespace shima
