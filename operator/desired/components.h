// PURE: the objects of each part of a cluster, one function a file: core_servers.cc, etcd_members.cc, ...
//
// Each gives complete objects, in the order in which they should be applied.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/cluster_plan.h"

namespace shima {

using Objects = std::vector<nlohmann::json>;

// ServiceAccounts, and what CSI's may do. The servers' account may do nothing.
Objects account_objects(const ClusterPlan& plan);
// PodDisruptionBudgets and NetworkPolicies.
Objects policy_objects(const ClusterPlan& plan);
// PersistentVolumes of host directories, each bound to its node, and their StorageClass; none where claims
// are asked for.
Objects host_directory_objects(const ClusterPlan& plan);
Objects etcd_objects(const ClusterPlan& plan);
Objects core_server_objects(const ClusterPlan& plan);
Objects access_server_objects(const ClusterPlan& plan);
Objects csi_controller_objects(const ClusterPlan& plan);
Objects csi_node_objects(const ClusterPlan& plan);
Objects storage_class_objects(const ClusterPlan& plan);
// ServiceMonitor and PrometheusRule, where the API server knows them.
Objects monitoring_objects(const ClusterPlan& plan);

inline constexpr char kServerAccount[] = "shima-server";
inline constexpr char kCsiControllerAccount[] = "shima-csi-controller";
inline constexpr char kCsiNodeAccount[] = "shima-csi-node";

}  // namespace shima
