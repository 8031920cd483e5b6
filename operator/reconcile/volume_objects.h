// PURE: the ShimaVolume objects of a cluster: which are made, which get a new status, which are deleted.
//
// One object a volume, in the cluster's namespace, with the volume's name (or a hash of it, where that is no
// name in Kubernetes), made by the operator and owned by the ShimaCluster. Its status
// (charts/shima-operator/crds/shimavolumes.yaml) changes with every byte that is written, so it is written
// only when it changes for a reader: lag and usage are rounded to steps, and each object is written at most
// every kMinBetweenMs unless its health, home, sites or publications change.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/kubernetes/object_cache.h"
#include "operator/core_view/core_snapshot.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

// What is written of a volume: rounded, and without times.
nlohmann::json volume_status(const VolumeView& volume);
std::string volume_object_name(const std::string& volume);
// As server-side apply wants it, without status.
nlohmann::json volume_object(const ClusterIdentity& cluster, const VolumeView& volume);

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
  VolumeChanges changes(const ClusterIdentity& cluster, const CoreSnapshot& snapshot, const ObjectMap& found,
                        uint64_t now_ms);
  void status_written(const std::string& volume, const nlohmann::json& status, uint64_t now_ms);

 private:
  struct Written {
    uint64_t hash = 0;
    uint64_t urgent_hash = 0;
    uint64_t at_ms = 0;
    VolumeView settled;  // looks like this and is written so: thousands that do not change cost little
  };
  enum class Due { kNo, kNow, kLater };
  Due status_due(const VolumeView& volume, const nlohmann::json& object, uint64_t now_ms,
                 nlohmann::json& status);
  std::map<std::string, Written> written_;  // by volume
};

}  // namespace shima
