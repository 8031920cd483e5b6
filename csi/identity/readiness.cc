#include "csi/identity/readiness.h"

namespace shima {

Status Readiness::look() {
  auto status = plane_.get_status();
  if (!status) return status.status();
  if (options_.controller && !status->etcd_reachable()) {
    return {Code::kUnavailable, "core server " + status->server() + " is not connected to etcd (" +
                                    status->etcd_error() + "), so that no volume can change; look at etcd"};
  }
  if (options_.node) SHIMA_RETURN_IF_ERROR(ask_mounter_());
  was_ready_ = true;
  return Status::ok();
}

}  // namespace shima
