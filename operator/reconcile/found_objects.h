// PURE: what is there, read from Kubernetes' objects into what the decisions are made by.
#pragma once

#include <string>
#include <vector>

#include "common/kubernetes/object_cache.h"
#include "operator/rollout/next_restart.h"
#include "operator/spec/shima_cluster_spec.h"
#include "operator/status/cluster_status.h"

namespace shima {

// Takes out of a Node what read_node() does not read: nodes change all the time, and there may be thousands.
void trim_node(nlohmann::json& node);
void trim_pod(nlohmann::json& pod);

// Of a cluster's objects by their labels; others are passed over.
struct FoundObjects {
  std::vector<ObjectPointer> stateful_sets;
  std::vector<ObjectPointer> deployments;
  std::vector<ObjectPointer> daemon_sets;
  std::vector<ObjectPointer> pods;
};

// Whether an object bears the labels of this very cluster. Namespaced ones are in its namespace, and if they
// have an owner it is this cluster: one that was deleted and made again does not inherit by its name.
bool belongs_to(const nlohmann::json& object, const ClusterIdentity& cluster);

std::vector<WorkloadView> workload_views(const FoundObjects& found);
// Those that are wanted and not there (yet): nothing of them is ready.
std::vector<WorkloadView> missing_workloads(const std::vector<nlohmann::json>& wanted,
                                            const std::vector<WorkloadView>& found);
// Of a component with StatefulSets: kCoreComponent, kEtcdComponent.
std::vector<CoreServerSet> server_sets(const FoundObjects& found, const std::string& component);
std::vector<CoreServerPod> server_pods(const FoundObjects& found, const std::string& component);

// HOST:PORT of the control planes of all core servers that there are to be, by their pods' stable names.
std::vector<std::string> core_endpoints(const FoundObjects& found, const std::string& name_space);

}  // namespace shima
