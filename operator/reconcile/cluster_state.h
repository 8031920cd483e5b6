// What the reconciler remembers of a ShimaCluster between two looks: nothing that a restart of the operator
// must not lose.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "operator/core_view/core_watch.h"
#include "operator/desired/site_map.h"
#include "operator/reconcile/apply_ledger.h"
#include "operator/reconcile/cluster_events.h"
#include "operator/reconcile/restart_guard.h"
#include "operator/reconcile/volume_objects.h"

namespace shima {

struct ClusterState {
  explicit ClusterState(uint64_t settle_ms) : guard(settle_ms) {}

  ApplyLedger ledger;
  RestartGuard guard;
  VolumeObjects volumes;
  EventLedger events;
  std::unique_ptr<CoreWatch> watch;  // null until there are core servers
  std::string deleted_uid;           // of the ShimaCluster whose finalizer was taken away
  SiteMap sites;                     // the last ones, for a status while the spec cannot be read
  nlohmann::json status_answer;      // the ShimaCluster after the last write of its status
  uint64_t volumes_done = 0;         // number of the snapshot that ShimaVolumes were compared with last
  uint64_t volumes_put_off = 0;
  bool has_no_etcd_record = false;   // the API server said so when it was asked last
  std::string deletion_decided_uid;  // of the ShimaCluster whose servers are being deleted
  uint64_t classes_gone_ms = 0;      // a deletion: when its StorageClasses were deleted; 0: they were not
};

}  // namespace shima
