// The service Controller of CSI (1.12, "Controller Service RPC") over a cluster's control plane.
//
// Thin: each call is checked, held against others on the same volume (ABORTED), and done by the file named
// after it. Snapshots, clones and ControllerModifyVolume are UNIMPLEMENTED, and not among the capabilities.
// Threads: handlers run on gRPC's threads, several at a time; each blocks for as long as the control plane's
// limit.
#pragma once

#include <memory>
#include <string>

#include "common/runtime/clock.h"
#include "csi/controller/control_plane.h"
#include "csi/v1/csi.grpc.pb.h"

namespace shima {

// `plane` and `clock` must outlive the service.
std::unique_ptr<::csi::v1::Controller::Service> make_controller_service(ControlPlane& plane,
                                                                        const std::string& topology_key,
                                                                        const Clock& clock = real_clock());

}  // namespace shima
