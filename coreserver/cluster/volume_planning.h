// PURE: the record of a volume that is to be made: sites, home and members by the cluster's state and the
// wishes.
#pragma once

#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/volume_store.h"

namespace shima {

// The whole record but for its id. kInvalidArgument: name, sizes, sites; kFailedPrecondition: too few servers
// alive.
Result<VolumeInfo> plan_volume(const ClusterState& state, const VolumeSpec& spec);

}  // namespace shima
