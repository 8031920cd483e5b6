// The one table between our codes and gRPC's.
//
// gRPC has fewer codes than we do where we need them, so the exact one travels beside it, as a decimal number
// in the trailing metadata `shima-code`. Without it (an error made by gRPC itself) the table is read
// backwards.
#pragma once

#include <grpcpp/support/status.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/status/status.h"

namespace shima {

inline constexpr char kCodeMetadataKey[] = "shima-code";

grpc::StatusCode to_grpc_code(Code code);
grpc::Status to_grpc_status(const Status& status);

// `shima_code` is the metadata's value, if the answer had one.
Status from_grpc_status(const grpc::Status& status, std::optional<std::string_view> shima_code);

}  // namespace shima
