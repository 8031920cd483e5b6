// What the reconciler remembers of a ShimaCluster between two looks: nothing that a restart of the operator
// must not lose.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/core_view/core_watch.h"
#include "operator/desired/site_map.h"
#include "operator/reconcile/apply_ledger.h"
#include "operator/reconcile/cluster_events.h"
#include "operator/reconcile/contests.h"
#include "operator/reconcile/restart_guard.h"
#include "operator/reconcile/volume_objects.h"

namespace shima {

struct ClusterState {
  explicit ClusterState(uint64_t settle_ms) : guard(settle_ms) {}

  ApplyLedger ledger;
  Contests contests;
  RestartGuard guard;
  VolumeObjects volumes;
  EventLedger events;
  std::unique_ptr<CoreWatch> watch;  // null until there are core servers
  std::string deleted_uid;           // of the ShimaCluster whose finalizer was taken away
  SiteMap sites;                     // the last ones, for a status while the spec cannot be read
  nlohmann::json status_answer;      // the ShimaCluster after the last write of its status
  uint64_t volumes_done = 0;         // number of the snapshot that ShimaVolumes were compared with last
  uint64_t volumes_put_off = 0;
  std::map<std::string, std::string> claims_of_ready_pods;  // etcd's: uid of the claim by uid of the pod
  struct DiskNotKept {
    uint64_t when_ms = 0;
    std::string why;  // for people
  };
  std::map<std::string, DiskNotKept> disks_not_kept;  // by uid of the pod: keep_disks() failed lately
  std::set<std::string> pods_with_kept_disks;         // uids; keep_disks() has nothing to do there
  std::map<std::string, uint64_t> joining_since_ms;   // members of etcd, as this process has seen it
  bool has_no_etcd_record = false;                    // the API server said so when it was asked last
  bool has_no_address_record = false;                 // likewise
  std::string deletion_decided_uid;                   // of the ShimaCluster whose servers are being deleted
  std::set<std::string> labelled;                     // nodes whose label is in the ledger
  uint64_t labels_right_since_ms = 0;  // all nodes bear the labels that they should; 0: they do not
  struct Attachments {                 // VolumeAttachments of our driver, listed while nodes should move
    std::set<std::string> asked_for;   // nodes
    std::map<std::string, size_t> of_node;
    std::string unknown;  // why the list could not be had; empty: it was
    uint32_t lists = 0;   // for the same nodes
    uint64_t listed_ms = 0;
  } attachments;
  struct CsiUse {
    std::string why;        // csi_in_use(), as it was said last
    uint64_t asked_ms = 0;  // 0: never
  } csi_use;
  struct Drains {
    std::string open_site;                              // by next_drain(), as it was decided last
    std::map<std::string, uint64_t> cordoned_since_ms;  // by node, as this process has seen it
  } drains;
  uint64_t hindered_since_ms = 0;  // each look since had no list, or no answer; 0: the last one had
  uint64_t classes_gone_ms = 0;    // a deletion: when its StorageClasses were deleted; 0: they were not
};

}  // namespace shima
