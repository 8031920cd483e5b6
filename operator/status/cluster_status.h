// PURE: the status of a ShimaCluster, in words that say what is ready, what is not, why, and what to do.
//
// Conditions (Kubernetes API conventions, metav1.Condition; a list-map by type): lastTransitionTime changes
// only when `status` does, so that an unchanged cluster gives an unchanged status and nothing is written.
// Fields of charts/shima-operator/crds/shimaclusters.yaml.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/site_map.h"
#include "operator/rollout/next_restart.h"
#include "operator/status/health_view.h"

namespace shima {

enum class Component { kEtcd, kCoreServers, kAccessServers, kCsi };

// A StatefulSet, Deployment or DaemonSet of the cluster, as its controller reports it.
struct WorkloadView {
  Component component = Component::kCoreServers;
  std::string site;  // empty: of the whole cluster
  std::string name;  // the object's
  uint32_t wanted = 0;
  uint32_t ready = 0;
};

// What stands in the way of the deletion that was asked for.
struct DeletionView {
  bool asked = false;                // metadata.deletionTimestamp is set
  bool known = false;                // a core server has told which volumes there are
  std::vector<std::string> volumes;  // volumes that still exist, or claims of them
};

struct StatusInputs {
  int64_t generation = 0;  // metadata.generation of the spec that was acted on
  SiteMap sites;
  std::vector<std::string> refused;       // DesiredCluster::refused
  std::string spec_error;                 // of read_cluster_spec(); empty: fine
  std::vector<std::string> apply_errors;  // of objects that could not be applied, with the server's words
  std::vector<std::string> claimed_by_others;  // sentences: nodes that another ShimaCluster has
  std::vector<WorkloadView> workloads;
  HealthView health;
  RolloutStep rollout;
  DeletionView deletion;
  bool csi_wanted = true;
  nlohmann::json previous;  // the object's status now; may be null
  std::string now;          // RFC 3339, UTC, whole seconds
};

nlohmann::json cluster_status(const StatusInputs& inputs);

}  // namespace shima
