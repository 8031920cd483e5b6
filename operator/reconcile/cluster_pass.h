// One look at one ShimaCluster: what was found, what is decided, and what came of it. Made by
// ClusterReconciler and handed from step to step; each step is one file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/etcd/etcd_members.h"
#include "common/observe/log.h"
#include "operator/core_view/core_snapshot.h"
#include "operator/desired/desired_objects.h"
#include "operator/desired/etcd_begun.h"
#include "operator/desired/etcd_record.h"
#include "operator/reconcile/cluster_state.h"
#include "operator/reconcile/found_objects.h"
#include "operator/reconcile/object_api.h"
#include "operator/status/cluster_status.h"

namespace shima {

// By endpoints, HOST:PORT.
using EtcdConnect =
    std::function<Result<std::unique_ptr<EtcdMembership>>(const std::vector<std::string>& endpoints)>;

struct ClusterPass {
  ObjectCalls& calls;
  const ObjectView& view;
  ClusterState& state;
  uint64_t now_ms = 0;
  uint64_t wall_us = 0;  // the same moment, since 1970
  EtcdConnect connect_etcd;

  ClusterIdentity identity;
  ObjectPointer object;  // the ShimaCluster
  std::vector<NodeView> nodes;
  std::set<std::string> nodes_of_others;  // that older ShimaClusters have (claims.h)
  FoundObjects found;
  std::shared_ptr<const CoreSnapshot> snapshot;
  DesiredCluster desired;
  std::optional<EtcdBegun> etcd_begun;  // as noted before this look; none: not known, or there is no etcd

  StatusInputs status;  // filled by the steps
  std::vector<ClusterEvent> events;
  bool api_is_away = false;     // nobody answered: the rest is for the next time
  uint64_t again_after_ms = 0;  // the earliest that a step asked for; 0: none did

  // Notes an error of an object for people; kUnavailable ends the pass, since the others would fare the same.
  // kInternal does not: it may be about this object alone.
  void failed(const nlohmann::json& what, const std::string& action, const Status& why);
  void look_again_after(uint64_t delay_ms);
};

// Before an object is written, `key` and `reason` of the ledger: as it is, with who wrote what, if it was put
// back before; else null. For ClusterState::contests.
nlohmann::json contested_object(ClusterPass& pass, const std::string& key, ApplyReason reason,
                                const ResourceKind& kind, const std::string& object_key);
// Whether there may be data: it was ready once, or has a ShimaVolume.
bool was_used(const ClusterPass& pass);
// Fills observed.etcd_members_of_site, from StatefulSets until then, from the record (etcd_record.h), which
// is made first if there is none. False: where etcd's members are is not known, and nothing may be applied or
// deleted; the status says why.
bool settle_etcd_members(ClusterPass& pass, const ShimaClusterSpec& spec, ObservedCluster& observed);
// Fills observed.access_addresses from the record (access_addresses.h), and from the Services that there are,
// which say more; tells of one that has another than before. False: the record cannot be read now, and a
// Service that is made would lose its address; the status says why.
bool settle_access_addresses(ClusterPass& pass, ObservedCluster& observed);
// ObjectCalls::apply(); a Service whose address the API server refuses is made with another one.
Result<nlohmann::json> apply_with_address(ClusterPass& pass, const ResourceKind& kind,
                                          const nlohmann::json& wanted);
// A ConfigMap that must not be taken for lost: as the watch has it, or, since that does not show one that
// lost its labels, as the API server has it. kNotFound: there is none.
Result<nlohmann::json> find_record(ClusterPass& pass, const char* name);
// Those of etcd and of addresses. True: there is none of this cluster any more.
bool remove_records(ClusterPass& pass);
// Notes which of etcd's members have begun, and replaces one whose claim is a new one; `members`: all that
// there are to be. Fills etcd_begun.
void keep_etcd_members(ClusterPass& pass, const EtcdMembers& members);
// Of a StatefulSet's pod, by name: TEMPLATE-POD.
std::vector<std::string> claims_of(const ClusterPass& pass, const nlohmann::json& pod);
// Lets the disks of core servers and of etcd's members outlive their claims.
void keep_disks(ClusterPass& pass);
// Why a restart of the pod would take its data away: a claim of it is being deleted. Empty: it would not.
std::string obstacle_by_claims(ClusterPass& pass, const nlohmann::json& pod);
// Server-side apply of desired.objects that need it; one's failure does not keep the others from it.
void apply_objects(ClusterPass& pass);
// Why the CSI driver stays though `spec` asks for none: a volume is attached, and without mounters its mount
// would end, without the controller it would stay attached. Empty: it does not, or is asked for.
std::string csi_in_use(ClusterPass& pass, const ShimaClusterSpec& spec);
// Adds to desired.node_patches those of nodes that may go to the site where they should be; fills
// status.waiting_moves.
void move_nodes(ClusterPass& pass, const std::vector<std::string>& removed_sites);
// Labels that say the site, some of them a look. `patches`: of node_label_patches(). True: none is left to be
// written.
bool label_nodes(ClusterPass& pass, const std::map<std::string, nlohmann::json>& patches);
// Whether all nodes have borne the right labels for a while.
bool labels_have_settled(const ClusterPass& pass);
// Never takes StatefulSets, Services and ConfigMaps of etcd and core servers but those of removed sites.
void remove_unwanted(ClusterPass& pass);
// A rolling upgrade's next step, if there is one: etcd's members first, then core servers. And whether a
// drain may take a core server; the next look applies that. `heed_other_sites`: as next_restart() has it.
void restart_servers(ClusterPass& pass, bool heed_other_sites);
// What drains of cordoned nodes may do, into state.drains and status.drain; `obstacle`: as next_drain() has
// it.
void settle_drains(ClusterPass& pass, const std::vector<CoreServerPod>& pods, const std::string& obstacle);
void write_volumes(ClusterPass& pass);

// metadata.annotations of a ShimaCluster: an image, with which access servers and the CSI driver do not wait
// for core servers; for when one of these never comes back. Core servers restart one at a time as ever, but
// do not wait for copies at other sites, which may be cut off by plan or always behind.
inline constexpr char kWithoutWaiting[] = "shima.io/upgrade-without-waiting";

// metadata.finalizers: so that what has no owner is deleted, and volumes are not forgotten.
inline constexpr char kFinalizer[] = "shima.io/cluster";
// metadata.annotations: the uid of the ShimaCluster, written once nothing blocks its deletion and before its
// servers are deleted; after that nobody can tell which volumes there are, and nobody is asked.
inline constexpr char kDeletionDecided[] = "shima.io/deletion-decided";
// False: it is not there, and was refused.
bool hold_finalizer(ClusterPass& pass);
// Fills status.deletion.
void look_at_deletion(ClusterPass& pass);
// Once nothing blocks it. True: the finalizer is gone, and with it the ShimaCluster.
bool finish_deletion(ClusterPass& pass);

// Only if it changed; what is worth telling becomes events.
void write_status(ClusterPass& pass);
void write_events(ClusterPass& pass, const EventSource& source);

}  // namespace shima
