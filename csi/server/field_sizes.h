// PURE: the size limits of CSI 1.12 ("Size Limits"), for every field of a request at any depth.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include <cstddef>

namespace shima {

inline constexpr size_t kMaxTextBytes = 128;
inline constexpr size_t kMaxPathFieldBytes =
    4096;  // staging_target_path, target_path, volume_path: PATH_MAX, limits.h
inline constexpr size_t kMaxMapBytes = 4096;         // keys and values
inline constexpr size_t kMaxMountFlagsBytes = 4096;  // all of them
inline constexpr int kMaxRepeated = 1024;            // our own limit: messages in a list

// INVALID_ARGUMENT names the field, never its content, which may be secret.
grpc::Status check_field_sizes(const google::protobuf::Message& request);

}  // namespace shima
