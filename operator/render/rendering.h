// PURE: what the operator would make of a ShimaCluster, without a Kubernetes cluster.
//
// Errors: kInvalidArgument: not exactly one ShimaCluster, or its spec is wrong.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "operator/desired/desired_objects.h"

namespace shima {

struct RenderingInputs {
  std::vector<nlohmann::json> cluster;  // documents, of which one is the ShimaCluster
  std::vector<nlohmann::json> nodes;    // Nodes, or Lists of them (kubectl get nodes -o json)
  std::vector<nlohmann::json>
      existing;  // StatefulSets and ConfigMap shima-etcd-members, or Lists: of a cluster that is there
  std::set<std::string> api_kinds;  // as ObservedCluster::api_kinds
  std::string name_space;           // where the ShimaCluster does not say one
};

Result<DesiredCluster> render(const RenderingInputs& inputs);

}  // namespace shima
