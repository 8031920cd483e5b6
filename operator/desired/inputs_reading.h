// PURE: NodeView and ObservedCluster, read from Kubernetes' objects.
//
// What is absent or of another type counts as not said: the API server has checked these objects.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

NodeView read_node(const nlohmann::json& node);  // core/v1 Node
// `workloads`: StatefulSets and DaemonSets of the cluster's namespace; those that do not bear the labels of
// `cluster` do not count.
ObservedCluster read_observed(const ClusterIdentity& cluster, const std::vector<nlohmann::json>& workloads,
                              std::set<std::string> api_kinds);

}  // namespace shima
