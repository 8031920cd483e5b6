// The service Identity of CSI (1.12, "Identity Service RPC"): who answers, what it can do, and whether it can
// now.
//
// Threads: handlers run on gRPC's threads. Probe answers ready=false until the driver was ready once, and
// FAILED_PRECONDITION with the reason when it is not any more.
#pragma once

#include <memory>

#include "csi/identity/readiness.h"
#include "csi/options/csi_options.h"
#include "csi/v1/csi.grpc.pb.h"

namespace shima {

// Both must outlive the service.
std::unique_ptr<::csi::v1::Identity::Service> make_identity_service(const CsiOptions& options,
                                                                    Readiness& readiness);

}  // namespace shima
