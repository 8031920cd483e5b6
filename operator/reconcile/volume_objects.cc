#include "operator/reconcile/volume_objects.h"

#include <algorithm>

#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/found_objects.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/restart_guard.h"

namespace shima {

using nlohmann::json;

std::string volume_object_name(const std::string& volume) {
  const auto alphanumeric = [](char c) { return c != '-' && c != '.'; };
  bool fits = !volume.empty() && alphanumeric(volume.back());
  for (size_t i = 0; i + 1 < volume.size(); ++i)
    fits = fits && (volume[i] != '.' || alphanumeric(volume[i + 1])) &&
           (volume[i + 1] != '.' || alphanumeric(volume[i]));
  return fits ? volume : "volume-" + content_hash(volume);
}

json volume_object(const ClusterIdentity& cluster, const std::string& volume) {
  json object = namespaced_object(cluster, {"shima.io/v1alpha1", "ShimaVolume"}, volume_object_name(volume),
                                  {"volume", ""});
  object["spec"] = {{"name", volume}};
  return object;
}

VolumeLook VolumeObjects::look_at(const CoreSnapshot& snapshot, const json& object) const {
  return {.previous = object.value("status", json()),
          .generation = number_at(object, "/metadata/generation"),
          .now_ms = now_ms_,
          .wall_us = wall_us_,
          .health_told_ms = snapshot.told_ms,
          .silence = silence_};
}

VolumeObjects::Due VolumeObjects::due(Written& last, const json& previous, const json& status) const {
  const uint64_t hash = json_hash(news_of(status)), urgent = json_hash(urgent_news_of(status));
  // After a restart of the operator: what is there was written by it.
  if (last.hash == 0 && news_of(previous) == news_of(status)) last.hash = hash, last.urgent_hash = urgent;
  if (last.hash == hash) return Due::kNo;
  return last.urgent_hash == urgent && now_ms_ < last.at_ms + kMinBetweenMs ? Due::kLater : Due::kNow;
}

VolumeObjects::Due VolumeObjects::status_due(const VolumeView& volume, const CoreSnapshot& snapshot,
                                             const json& object, json& status) {
  Written& last = written_[volume.name];
  if (volume.copies) last.lag_told_ms = volume.copies->told_ms;
  if (volume.health_known && last.settled == volume) return Due::kNo;
  last.settled_silence.clear();
  const VolumeLook look = look_at(snapshot, object);
  const bool was_told = look.previous.is_object() && look.previous.contains("health");
  if (!volume.health_known && silence_.empty() && !was_told) return Due::kLater;
  status = volume_status(volume, look);
  const Due due = this->due(last, look.previous, status);
  if (due == Due::kNo) last.settled = volume;
  return due;
}

VolumeObjects::Due VolumeObjects::silent_status_due(const std::string& volume, const CoreSnapshot& snapshot,
                                                    const json& object, json& status) {
  Written& last = written_[volume];
  if (last.settled_silence == silence_) return Due::kNo;
  last.settled = {};
  const VolumeLook look = look_at(snapshot, object);
  status = silent_volume_status(last.lag_told_ms, look);
  const Due due = this->due(last, look.previous, status);
  if (due == Due::kNo) last.settled_silence = silence_;
  return due;
}

void VolumeObjects::status_written(const std::string& volume, const json& status, uint64_t now_ms) {
  Written& last = written_[volume];
  last.hash = json_hash(news_of(status));
  last.urgent_hash = json_hash(urgent_news_of(status));
  last.at_ms = now_ms;
  last.settled = {};
  last.settled_silence.clear();
}

void VolumeObjects::begin(const CoreSnapshot& snapshot, uint64_t now_ms, uint64_t wall_us) {
  now_ms_ = now_ms;
  wall_us_ = wall_us;
  if (first_ms_ == 0) first_ms_ = now_ms;
  const bool silent = now_ms > std::max(snapshot.told_ms, first_ms_) + RestartGuard::kMaxAgeMs;
  const bool etcd_away = snapshot.health.answered && !snapshot.health.etcd_reachable;
  silence_ = !silent ? "" : etcd_away ? "EtcdAway" : "NoAnswer";
}

VolumeChanges VolumeObjects::changes(const ClusterIdentity& cluster, const CoreSnapshot& snapshot,
                                     const ObjectMap& found, uint64_t now_ms, uint64_t wall_us) {
  begin(snapshot, now_ms, wall_us);
  VolumeChanges changes;
  std::set<std::string> there;
  const auto room = [&changes] {
    const bool has = changes.made.size() + changes.statuses.size() + changes.removed.size() < kMaxChanges;
    changes.put_off += has ? 0 : 1;
    return has;
  };
  const auto write = [&](const std::string& volume, Due due, json status) {
    changes.put_off += due == Due::kLater ? 1 : 0;
    if (due != Due::kNow || !room()) return;
    json written = volume_object(cluster, volume);
    written.erase("spec");
    written["status"] = std::move(status);
    changes.statuses.emplace(volume, std::move(written));
  };
  for (const VolumeView& volume : snapshot.volumes) {
    const std::string key = cluster.name_space + "/" + volume_object_name(volume.name);
    there.insert(key);
    const auto object = found.find(key);
    if (object == found.end()) {
      written_.erase(volume.name);
      if (room()) changes.made.push_back(volume_object(cluster, volume.name));
      continue;
    }
    json status;
    const Due due = status_due(volume, snapshot, *object->second, status);
    write(volume.name, due, std::move(status));
  }
  for (const auto& [key, object] : found) {
    if (there.contains(key) || !belongs_to(*object, cluster) || is_ending(*object)) continue;
    const std::string volume = text_at(*object, "/spec/name");
    if (snapshot.volumes_known) {
      written_.erase(volume);
      if (room()) changes.removed.push_back(object);
    } else if (!silence_.empty() &&
               !text_at(*object, "/status/health").empty()) {  // else there is no old news
      json status;
      const Due due = silent_status_due(volume, snapshot, *object, status);
      write(volume, due, std::move(status));
    }
  }
  return changes;
}

}  // namespace shima
