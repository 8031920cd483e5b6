// What the program serves, until a signal ends it: NFS for all volumes, or one volume mounted with FUSE.
//
// Both block the calling thread until SIGTERM or SIGINT, which the caller has blocked in all threads, and
// then stop in order: front end, volumes, sessions. What has not ended kStopSeconds after the signal is left
// to the core servers, which end the sessions of an access server that is gone (R21). Errors: why it could
// not begin to serve.
#pragma once

#include "accessserver/options/access_options.h"
#include "common/status/status.h"

namespace shima {

inline constexpr unsigned kStopSeconds = 10;

Status serve_nfs(const AccessOptions& options);
Status serve_mount(const AccessOptions& options);  // options.mount is set

}  // namespace shima
