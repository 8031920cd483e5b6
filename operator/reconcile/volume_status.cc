#include "operator/reconcile/volume_status.h"

#include <algorithm>

#include "operator/reconcile/object_fields.h"
#include "operator/status/conditions.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr size_t kMaxPublications = 256;  // in a status; more nodes than these have no use for a reader
constexpr size_t kMaxReasons = 16;
constexpr uint64_t kUsageStep = 64ull << 20;

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

std::string time_of(uint64_t at_ms, const VolumeLook& look) {
  return whole_seconds(look.wall_us - (look.now_ms - std::min(at_ms, look.now_ms)) * 1000);
}

json conditions_of(const json& status) {
  return status.is_object() ? status.value("conditions", json::array()) : json::array();
}

void carry_over(const json& from, const std::string& field, json& to) {
  if (from.is_object() && from.contains(field)) to[field] = from[field];
}

// `told_ms` 0: this process does not know it; who wrote the status before did.
void set_old_time(const VolumeLook& look, const std::string& field, uint64_t told_ms, json& status) {
  carry_over(look.previous, field, status);
  if (told_ms != 0) status[field] = time_of(told_ms, look);
}

// What etcd's records tell.
json records_of(const VolumeView& volume) {
  json status{{"home", volume.home}, {"ack", volume.ack}, {"sizeBytes", volume.size_bytes}};
  json publications = json::array();
  for (size_t i = 0; i < volume.publications.size() && i < kMaxPublications; ++i)
    publications.push_back({{"node", volume.publications[i].node},
                            {"site", volume.publications[i].site},
                            {"readOnly", volume.publications[i].read_only}});
  status["publications"] = std::move(publications);
  return status;
}

std::string told_silence(const std::string& silence) {
  return std::string("no core server ") + (silence == "EtcdAway" ? "that reaches etcd " : "") +
         "has answered since observedTime, and what is shown is as old; the ShimaCluster says more";
}

void tell_silence(const VolumeLook& look, json& status, Conditions& conditions) {
  status["health"] = "Unknown";
  status["reasons"] = json::array({told_silence(look.silence)});
  set_old_time(look, "observedTime", look.health_told_ms, status);
  conditions.set_unknown("Healthy", look.silence, told_silence(look.silence));
}

void tell_health(const VolumeView& volume, const VolumeLook& look, json& status, Conditions& conditions) {
  if (!volume.health_known && !look.silence.empty()) return tell_silence(look, status, conditions);
  if (!volume.health_known) {  // a moment's silence is no news
    conditions.keep("Healthy");
    return;
  }
  const bool healthy = !volume.deleting && volume.reasons.empty();
  status["health"] = volume.deleting ? "Deleting" : healthy ? "Healthy" : "Degraded";
  status["observedTime"] = time_of(look.health_told_ms, look);
  status["reasons"] = json::array();
  for (size_t i = 0; i < volume.reasons.size() && i < kMaxReasons; ++i)
    status["reasons"].push_back(volume.reasons[i]);
  conditions.set("Healthy", healthy,
                 volume.deleting ? "BeingDeleted"
                 : healthy       ? "AllWhole"
                                 : "Degraded",
                 volume.deleting ? "its data is being dropped"
                 : healthy       ? "by etcd's records all members are alive, and all copies whole"
                                 : told(volume.reasons));
}

// One line a site. Of a copy of which nobody has told: what was written of it before.
json site_lines(const VolumeView& volume, const json& previous) {
  const json before = previous.is_object() ? previous.value("sites", json::array()) : json::array();
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
    if (!volume.copies && site != volume.home)
      for (const json& each : before)
        if (text_at(each, "/name") == site)
          for (const char* field : {"connected", "whole", "lagBytes", "lagSeconds"})
            carry_over(each, field, line);
    lines.push_back(std::move(line));
  }
  return lines;
}

void tell_connections(const VolumeCopies& copies, Conditions& conditions) {
  std::vector<std::string> away;
  for (const auto& [site, copy] : copies.by_site)
    if (!copy.connected) away.push_back(site);
  conditions.set("Connected", away.empty(), away.empty() ? "AllConnected" : "SitesAway",
                 !away.empty()            ? "not connected to the home: " + told(away)
                 : copies.by_site.empty() ? "there are no copies at other sites"
                                          : "the copies of all sites are connected to the home");
}

void tell_copies(const VolumeView& volume, const VolumeLook& look, json& status, Conditions& conditions) {
  status["sites"] = site_lines(volume, look.previous);
  status.erase("lagSeconds");
  for (const json& line : status["sites"])
    if (line.contains("lagSeconds"))
      status["lagSeconds"] = std::max(number_at(status, "/lagSeconds"), number_at(line, "/lagSeconds"));
  if (volume.copies)
    status["usedBytes"] = (volume.copies->used_bytes + kUsageStep - 1) / kUsageStep * kUsageStep;
  else
    carry_over(look.previous, "usedBytes", status);
  if (volume.copies_are_old) {
    set_old_time(look, "lagObservedTime", volume.copies ? volume.copies->told_ms : 0, status);
    return conditions.set_unknown("Connected", "HomeDoesNotTell",
                                  "not all groups are told of by core servers of the home, " + volume.home +
                                      ": connections, lag and usage are as of lagObservedTime");
  }
  if (volume.copies) {
    status["lagObservedTime"] = time_of(volume.copies->told_ms, look);
    return tell_connections(*volume.copies, conditions);
  }
  carry_over(look.previous, "lagObservedTime", status);
  if (!conditions.keep("Connected"))
    conditions.set_unknown("Connected", "NotAskedYet", "core servers of the home have not been asked yet");
}

}  // namespace

json volume_status(const VolumeView& volume, const VolumeLook& look) {
  const bool was_told = look.previous.is_object() && look.previous.contains("health");
  json status = volume.health_known || !was_told ? records_of(volume) : look.previous;
  Conditions conditions(conditions_of(look.previous), look.generation, whole_seconds(look.wall_us));
  tell_health(volume, look, status, conditions);
  tell_copies(volume, look, status, conditions);
  status["observedGeneration"] = look.generation;
  status["conditions"] = conditions.list();
  return status;
}

json silent_volume_status(uint64_t lag_told_ms, const VolumeLook& look) {
  json status = look.previous.is_object() ? look.previous : json::object();
  Conditions conditions(conditions_of(look.previous), look.generation, whole_seconds(look.wall_us));
  tell_silence(look, status, conditions);
  set_old_time(look, "lagObservedTime", lag_told_ms, status);
  conditions.set_unknown("Connected", look.silence,
                         "no core server tells: connections, lag and usage are as of lagObservedTime");
  status["observedGeneration"] = look.generation;
  status["conditions"] = conditions.list();
  return status;
}

json news_of(json status) {
  if (!status.is_object()) return status;
  status.erase("observedTime");
  status.erase("lagObservedTime");
  if (const auto conditions = status.find("conditions"); conditions != status.end())
    for (json& condition : *conditions)
      if (condition.is_object()) condition.erase("lastTransitionTime");
  return status;
}

json urgent_news_of(const json& status) {
  json urgent = news_of(status);
  urgent.erase("usedBytes");
  urgent.erase("lagSeconds");
  for (json& site : urgent["sites"]) {
    site.erase("lagBytes");
    site.erase("lagSeconds");
  }
  return urgent;
}

}  // namespace shima
