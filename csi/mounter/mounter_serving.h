// What `shima-csi --mounter` does until a signal ends it.
#pragma once

#include "common/status/status.h"
#include "csi/options/csi_options.h"

namespace shima {

// Blocks the calling thread until SIGTERM or SIGINT, which the caller has blocked in all threads. Mounts
// stay; as the first process of a container, which would take them along, it serves on until the last of them
// was stopped, or a second signal comes. Errors: why it could not begin to serve.
Status serve_mounter(const CsiOptions& options);

}  // namespace shima
