// Errors of CSI calls: gRPC's codes, as CSI 1.12 names them for each call ("... Errors"). Our own Code has
// none for some of them (OUT_OF_RANGE), so the controller speaks gRPC's.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "common/status/status.h"

namespace shima {

inline grpc::Status invalid_argument(const std::string& text) {
  return {grpc::StatusCode::INVALID_ARGUMENT, text};
}
inline grpc::Status failed_precondition(const std::string& text) {
  return {grpc::StatusCode::FAILED_PRECONDITION, text};
}

// What the control plane answered. A failed system call and a broken record at a core server are INTERNAL
// here.
grpc::Status csi_error(const Status& status);

// Another call works on the volume (CSI 1.12, "Concurrency").
grpc::Status aborted_by_other_call(const std::string& volume);

}  // namespace shima
