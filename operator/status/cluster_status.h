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
#include "operator/rollout/next_drain.h"
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
  uint32_t old_mounters = 0;  // pods of CSI's mounter that run another version than the object has
  std::string why;            // for people: why not all are ready; empty: nobody says
};

// What stands in the way of the deletion that was asked for.
struct DeletionView {
  bool asked = false;                // metadata.deletionTimestamp is set
  bool known = false;                // a core server has told which volumes there are
  std::vector<std::string> volumes;  // volumes that still exist, or claims of them
};

struct StatusInputs {
  int64_t generation = 0;  // metadata.generation of the spec that was acted on
  // False: lists of what is there are waited for, as apply_errors say; all else is told as before.
  bool knows_enough = true;
  // False: what should be was not planned to the end, so moves, drains, restarts, and components of which
  // nothing is there, are told as before.
  bool planned = false;
  SiteMap sites;                           // without a label: nobody could tell yet; told as before
  std::vector<std::string> refused;        // DesiredCluster::refused
  std::string spec_error;                  // of read_cluster_spec(); empty: fine
  std::vector<std::string> apply_errors;   // of objects that could not be applied, with the server's words
  std::vector<std::string> contested;      // sentences: what others change again and again, and who
  std::vector<std::string> waiting_moves;  // MoveDecision::waiting
  std::vector<std::string> claimed_by_others;  // sentences: nodes that another ShimaCluster has
  std::vector<WorkloadView> workloads;
  HealthView health;
  RolloutStep rollout;
  DrainStep drain;
  std::vector<std::string>
      held_images;    // workloads that keep their pods' template until core servers have the new one
  std::string image;  // the spec's
  DeletionView deletion;
  bool csi_wanted = true;
  bool external_etcd = false;  // the spec names endpoints
  nlohmann::json previous;     // the object's status now; may be null
  std::string now;             // RFC 3339, UTC, whole seconds
};

nlohmann::json cluster_status(const StatusInputs& inputs);

}  // namespace shima
