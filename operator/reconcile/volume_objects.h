// PURE: the ShimaVolume objects of a cluster: which are made, which get a new status, which are deleted.
//
// One object a volume, in the cluster's namespace, with the volume's name (or a hash of it, where that is no
// name in Kubernetes), made by the operator and owned by the ShimaCluster. Its status
// (charts/shima-operator/crds/shimavolumes.yaml) changes with every byte that is written, so it is written
// only when it changes for a reader: lag and usage are rounded to steps, and each object is written at most
// every kMinBetweenMs unless its health, home, sites or publications change, or are not known any more.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/kubernetes/object_cache.h"
#include "operator/core_view/core_snapshot.h"
#include "operator/reconcile/volume_status.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

std::string volume_object_name(const std::string& volume);
// As server-side apply wants it, without status.
nlohmann::json volume_object(const ClusterIdentity& cluster, const std::string& volume);

struct VolumeChanges {
  std::vector<nlohmann::json> made;                // objects to be applied
  std::map<std::string, nlohmann::json> statuses;  // by volume: objects to be applied to /status
  std::vector<ObjectPointer> removed;
  size_t put_off = 0;  // changes for which there was no room, or which come later
};

// What was written when, between calls. Threads: none.
class VolumeObjects {
 public:
  static constexpr uint64_t kMinBetweenMs = 10'000;
  static constexpr size_t kMaxChanges = 100;  // of one call: the others come with the next ones

  // `found`: ShimaVolumes as a watch has them. Objects are deleted only if `snapshot` knows all volumes.
  // Once nobody has told for RestartGuard::kMaxAgeMs, each says so. `wall_us`: now, since 1970.
  VolumeChanges changes(const ClusterIdentity& cluster, const CoreSnapshot& snapshot, const ObjectMap& found,
                        uint64_t now_ms, uint64_t wall_us);
  void status_written(const std::string& volume, const nlohmann::json& status, uint64_t now_ms);

 private:
  struct Written {
    uint64_t hash = 0;  // 0: nothing, by this process
    uint64_t urgent_hash = 0;
    uint64_t at_ms = 0;
    uint64_t lag_told_ms = 0;  // 0: not since this process began
    VolumeView settled;        // looks like this and is written so: thousands that do not change cost little
    std::string settled_silence;  // likewise, of one that nobody tells of
  };
  enum class Due { kNo, kNow, kLater };
  void begin(const CoreSnapshot& snapshot, uint64_t now_ms, uint64_t wall_us);
  VolumeLook look_at(const CoreSnapshot& snapshot, const nlohmann::json& object) const;
  Due due(Written& last, const nlohmann::json& previous, const nlohmann::json& status) const;
  Due status_due(const VolumeView& volume, const CoreSnapshot& snapshot, const nlohmann::json& object,
                 nlohmann::json& status);
  Due silent_status_due(const std::string& volume, const CoreSnapshot& snapshot, const nlohmann::json& object,
                        nlohmann::json& status);

  std::map<std::string, Written> written_;  // by volume
  uint64_t first_ms_ = 0;                   // when changes() was called first; 0: it was not
  uint64_t now_ms_ = 0, wall_us_ = 0;       // of the call in progress
  std::string silence_;                     // VolumeLook::silence
};

}  // namespace shima
