// Which nodes are fenced: those that somebody has called out of service and that are not Ready.
//
// The taint node.kubernetes.io/out-of-service says that a machine is off for good. A machine that still tells
// that it is well was tainted by mistake, or has come back: its mounts are in use, and it is not fenced.
#pragma once

#include <string>
#include <vector>

#include "operator/core_view/core_snapshot.h"
#include "operator/desired/inputs.h"
#include "operator/reconcile/cluster_events.h"
#include "operator/reconcile/object_api.h"

namespace shima {

std::vector<std::string> lost_nodes(const std::vector<NodeView>& nodes);
// Whether `node` is lost by what the API server has now: never while the watch of nodes may be behind.
bool is_lost_now(const ObjectView& view, const std::string& node);
// Of nodes that have the taint and publications, and are Ready.
std::vector<ClusterEvent> events_of_ready_nodes_with_taint(const std::vector<NodeView>& nodes,
                                                           const std::vector<VolumeView>& volumes);

}  // namespace shima
