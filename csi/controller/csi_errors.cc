#include "csi/controller/csi_errors.h"

#include "coreserver/rpc/status_codes.h"

namespace shima {

grpc::Status csi_error(const Status& status) {
  if (status.code() == Code::kIo || status.code() == Code::kCorrupt)
    return {grpc::StatusCode::INTERNAL, status.message()};
  return to_grpc_status(status);
}

grpc::Status aborted_by_other_call(const std::string& volume) {
  return {grpc::StatusCode::ABORTED,
          "another call works on volume " + volume + "; try again when it has been answered"};
}

}  // namespace shima
