// Where this node is: told by --site, or read from the topology label of its Node in Kubernetes.
//
// Blocks until the API server has answered, trying again while it is away, since a node plug-in may well
// start before it; a terminated process ends meanwhile. Errors: whatever trying again does not mend: no such
// node or label, no right to read nodes, no credentials of a pod (common/kubernetes/api_client.h); a label
// that is no site's name.
#pragma once

#include "common/status/status.h"
#include "csi/options/csi_options.h"

namespace shima {

// `options` with `site` set; as they are if it is, or if no role needs it.
Result<CsiOptions> with_site(CsiOptions options);

}  // namespace shima
