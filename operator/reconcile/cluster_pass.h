// One look at one ShimaCluster: what was found, what is decided, and what came of it. Made by
// ClusterReconciler and handed from step to step; each step is one file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/observe/log.h"
#include "operator/core_view/core_snapshot.h"
#include "operator/desired/desired_objects.h"
#include "operator/reconcile/cluster_state.h"
#include "operator/reconcile/found_objects.h"
#include "operator/reconcile/object_api.h"
#include "operator/status/cluster_status.h"

namespace shima {

struct ClusterPass {
  ObjectCalls& calls;
  const ObjectView& view;
  ClusterState& state;
  uint64_t now_ms = 0;

  ClusterIdentity identity;
  ObjectPointer object;  // the ShimaCluster
  std::vector<NodeView> nodes;
  std::set<std::string> nodes_of_others;  // that other ShimaClusters have
  FoundObjects found;
  std::shared_ptr<const CoreSnapshot> snapshot;
  DesiredCluster desired;

  StatusInputs status;  // filled by the steps
  std::vector<ClusterEvent> events;
  bool api_is_away = false;     // nobody answered: the rest is for the next time
  uint64_t again_after_ms = 0;  // the earliest that a step asked for; 0: none did

  // Notes an error of an object for people; kUnavailable ends the pass, since the others would fare the same.
  void failed(const nlohmann::json& what, const std::string& action, const Status& why);
  void look_again_after(uint64_t delay_ms);
};

// Whether there may be data: it was ready once, or has a ShimaVolume.
bool was_used(const ClusterPass& pass);
// Fills observed.etcd_members_of_site, from StatefulSets until then, from the record (etcd_record.h), which
// is made first if there is none. False: where etcd's members are is not known, and nothing may be applied or
// deleted; the status says why.
bool settle_etcd_members(ClusterPass& pass, const ShimaClusterSpec& spec, ObservedCluster& observed);
// True: there is none of this cluster any more.
bool remove_etcd_record(ClusterPass& pass);
// Server-side apply of desired.objects that need it; one's failure does not keep the others from it.
void apply_objects(ClusterPass& pass);
// Labels that say the site. `patches`: of node_label_patches().
void label_nodes(ClusterPass& pass, const std::map<std::string, nlohmann::json>& patches);
// Never takes StatefulSets, Services and ConfigMaps of etcd and core servers but those of removed sites.
void remove_unwanted(ClusterPass& pass);
// A rolling upgrade's next step, if there is one: etcd's members first, then core servers.
void restart_servers(ClusterPass& pass);
void write_volumes(ClusterPass& pass);

// metadata.finalizers: so that what has no owner is deleted, and volumes are not forgotten.
inline constexpr char kFinalizer[] = "shima.io/cluster";
// metadata.annotations: the uid of the ShimaCluster, written once nothing blocks its deletion and before its
// servers are deleted; after that nobody can tell which volumes there are, and nobody is asked.
inline constexpr char kDeletionDecided[] = "shima.io/deletion-decided";
void hold_finalizer(ClusterPass& pass);
// Fills status.deletion.
void look_at_deletion(ClusterPass& pass);
// Once nothing blocks it. True: the finalizer is gone, and with it the ShimaCluster.
bool finish_deletion(ClusterPass& pass);

// Only if it changed; what is worth telling becomes events.
void write_status(ClusterPass& pass);
void write_events(ClusterPass& pass, const EventSource& source);

}  // namespace shima
