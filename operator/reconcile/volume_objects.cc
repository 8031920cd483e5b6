#include "operator/reconcile/volume_objects.h"

#include <algorithm>
#include <cmath>

#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/found_objects.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr size_t kMaxPublications = 256;  // in a status; more nodes than these have no use for a reader
constexpr size_t kMaxReasons = 16;

// Two significant binary digits: steps of 25 to 50 %.
uint64_t rounded(uint64_t value) {
  if (value < 4) return value;
  const int shift = 62 - __builtin_clzll(value);
  return value >> shift << shift;
}

// Below a second nobody looks at it; above, in the same steps.
uint64_t rounded_seconds(double seconds) {
  if (!(seconds >= 1)) return 0;
  return rounded(static_cast<uint64_t>(std::min(seconds, 1e9)));
}

constexpr uint64_t kUsageStep = 64ull << 20;

json site_lines(const VolumeView& volume) {
  json lines = json::array();
  for (const std::string& site : volume.sites) {
    json line{{"name", site}, {"role", site == volume.home ? "Home" : "Copy"}};
    const CopyView* copy = nullptr;
    if (volume.copies)
      if (const auto found = volume.copies->by_site.find(site); found != volume.copies->by_site.end())
        copy = &found->second;
    if (copy) {
      line["connected"] = copy->connected;
      line["whole"] = copy->whole;
      line["lagBytes"] = rounded(copy->lag_bytes);
      line["lagSeconds"] = rounded_seconds(copy->lag_seconds);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

// What a reader must not wait for: all but numbers that drift.
json urgent_part(json status) {
  status.erase("usedBytes");
  for (json& site : status["sites"]) {
    site.erase("lagBytes");
    site.erase("lagSeconds");
  }
  return status;
}

}  // namespace

json volume_status(const VolumeView& volume) {
  json status{{"health", volume.deleting          ? "Deleting"
                         : volume.reasons.empty() ? "Healthy"
                                                  : "Degraded"},
              {"home", volume.home},
              {"ack", volume.ack},
              {"sizeBytes", volume.size_bytes},
              {"sites", site_lines(volume)}};
  json reasons = json::array();
  for (size_t i = 0; i < volume.reasons.size() && i < kMaxReasons; ++i) reasons.push_back(volume.reasons[i]);
  status["reasons"] = std::move(reasons);
  json publications = json::array();
  for (size_t i = 0; i < volume.publications.size() && i < kMaxPublications; ++i)
    publications.push_back({{"node", volume.publications[i].node},
                            {"site", volume.publications[i].site},
                            {"readOnly", volume.publications[i].read_only}});
  status["publications"] = std::move(publications);
  if (volume.copies)
    status["usedBytes"] = (volume.copies->used_bytes + kUsageStep - 1) / kUsageStep * kUsageStep;
  return status;
}

std::string volume_object_name(const std::string& volume) {
  const auto alphanumeric = [](char c) { return c != '-' && c != '.'; };
  bool fits = !volume.empty() && alphanumeric(volume.back());
  for (size_t i = 0; i + 1 < volume.size(); ++i)
    fits = fits && (volume[i] != '.' || alphanumeric(volume[i + 1])) &&
           (volume[i + 1] != '.' || alphanumeric(volume[i]));
  return fits ? volume : "volume-" + content_hash(volume);
}

json volume_object(const ClusterIdentity& cluster, const VolumeView& volume) {
  json object = namespaced_object(cluster, {"shima.io/v1alpha1", "ShimaVolume"},
                                  volume_object_name(volume.name), {"volume", ""});
  object["spec"] = {{"name", volume.name}};
  return object;
}

VolumeObjects::Due VolumeObjects::status_due(const VolumeView& volume, const json& object, uint64_t now_ms,
                                             json& status) {
  auto [entry, is_new] = written_.try_emplace(volume.name);
  Written& last = entry->second;
  if (!is_new && last.settled == volume) return Due::kNo;
  status = volume_status(volume);
  const uint64_t hash = json_hash(status), urgent = json_hash(urgent_part(status));
  // After a restart of the operator: what is there was written by it.
  if (is_new && object.value("status", json()) == status) last = {.hash = hash, .urgent_hash = urgent};
  if (last.hash == hash) {
    last.settled = volume;
    return Due::kNo;
  }
  return last.urgent_hash == urgent && now_ms < last.at_ms + kMinBetweenMs ? Due::kLater : Due::kNow;
}

void VolumeObjects::status_written(const std::string& volume, const json& status, uint64_t now_ms) {
  written_[volume] = {
      .hash = json_hash(status), .urgent_hash = json_hash(urgent_part(status)), .at_ms = now_ms};
}

VolumeChanges VolumeObjects::changes(const ClusterIdentity& cluster, const CoreSnapshot& snapshot,
                                     const ObjectMap& found, uint64_t now_ms) {
  VolumeChanges changes;
  std::set<std::string> there;
  const auto room = [&changes] {
    const bool has = changes.made.size() + changes.statuses.size() + changes.removed.size() < kMaxChanges;
    changes.put_off += has ? 0 : 1;
    return has;
  };
  for (const VolumeView& volume : snapshot.volumes) {
    const std::string key = cluster.name_space + "/" + volume_object_name(volume.name);
    there.insert(key);
    const auto object = found.find(key);
    if (object == found.end()) {
      written_.erase(volume.name);
      if (room()) changes.made.push_back(volume_object(cluster, volume));
      continue;
    }
    json status;
    const Due due = status_due(volume, *object->second, now_ms, status);
    changes.put_off += due == Due::kLater ? 1 : 0;
    if (due != Due::kNow || !room()) continue;
    json written = volume_object(cluster, volume);
    written.erase("spec");
    written["status"] = std::move(status);
    changes.statuses.emplace(volume.name, std::move(written));
  }
  if (!snapshot.volumes_known) return changes;
  for (const auto& [key, object] : found) {
    if (there.contains(key) || !belongs_to(*object, cluster) || is_ending(*object)) continue;
    written_.erase(text_at(*object, "/spec/name"));
    if (room()) changes.removed.push_back(object);
  }
  return changes;
}

}  // namespace shima
