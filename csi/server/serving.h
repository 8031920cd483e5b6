// What `shima-csi` does as controller or node plug-in until a signal ends it.
#pragma once

#include "common/status/status.h"
#include "csi/options/csi_options.h"

namespace shima {

// Blocks the calling thread until SIGTERM or SIGINT, which the caller has blocked in all threads. Then calls
// in progress get CsiServer::kStopSeconds. Errors: why it could not begin to serve.
Status serve_csi(const CsiOptions& options);

}  // namespace shima
