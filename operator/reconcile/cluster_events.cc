#include "operator/reconcile/cluster_events.h"

#include <set>

#include "operator/desired/names.h"
#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr size_t kMaxNoteBytes = 1000;  // events.k8s.io/v1: 1024

std::string status_in(const json& status, const std::string& type) {
  const json* conditions = value_at(status, "/conditions");
  if (!conditions || !conditions->is_array()) return {};
  for (const json& each : *conditions)
    if (text_at(each, "/type") == type) return text_at(each, "/status");
  return {};
}

bool is_told_if_true(const std::string& type) {
  return type == "DeletionIsBlocked" || type == "NodesWouldMove" || type == "NodesDraining";
}

// A new cluster is not ready, which is nothing to tell; but what is wrong with it from the begin on is.
bool is_worth_telling(const std::string& type, const std::string& before, const std::string& now) {
  static const std::set<std::string> wrong_if_false{"SpecAccepted", "SitesMapped", "ObjectsApplied"};
  if (before == now) return false;
  if (is_told_if_true(type)) return now == "True";
  // Of what gets well, the whole.
  if (!before.empty()) return now != "True" || type == "Ready" || type == "Upgrading";
  return wrong_if_false.contains(type) && now == "False";
}

std::string reason_of(const std::string& type, bool is_true) {
  if (type == "Upgrading") return is_true ? "UpgradeBegan" : "Upgraded";
  return is_true ? type : "Not" + type;
}

bool is_warning(const std::string& type, const std::string& now) {
  if (type == "Upgrading" || type == "NodesDraining") return false;
  return is_told_if_true(type) ? now == "True" : now != "True";
}

std::string cut(std::string text) {
  if (text.size() <= kMaxNoteBytes) return text;
  size_t end = kMaxNoteBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

std::vector<ClusterEvent> events_of_change(const json& before, const json& after) {
  std::vector<ClusterEvent> events;
  const json* conditions = value_at(after, "/conditions");
  if (!conditions || !conditions->is_array()) return events;
  for (const json& each : *conditions) {
    const std::string type = text_at(each, "/type"), now = text_at(each, "/status");
    if (!is_worth_telling(type, status_in(before, type), now)) continue;
    events.push_back({.warning = is_warning(type, now),
                      .reason = reason_of(type, now == "True"),
                      .action = "Observed",
                      .note = text_at(each, "/message")});
  }
  return events;
}

json event_object(const ClusterIdentity& cluster, const ClusterEvent& event, const EventSource& source) {
  const std::string id = content_hash(event.reason + event.note + source.time + cluster.uid);
  return {{"apiVersion", "events.k8s.io/v1"},
          {"kind", "Event"},
          {"metadata", {{"name", cluster.name + "." + id}, {"namespace", cluster.name_space}}},
          {"eventTime", source.time},
          {"reportingController", "shima.io/operator"},
          {"reportingInstance", source.instance.substr(0, 128)},
          {"type", event.warning ? "Warning" : "Normal"},
          {"reason", event.reason},
          {"action", event.action},
          {"note", cut(event.note)},
          {"regarding",
           {{"apiVersion", "shima.io/v1alpha1"},
            {"kind", "ShimaCluster"},
            {"namespace", cluster.name_space},
            {"name", cluster.name},
            {"uid", cluster.uid}}}};
}

bool EventLedger::allow(const ClusterEvent& event, uint64_t now_ms) {
  std::erase_if(told_ms_, [now_ms](const auto& each) { return now_ms >= each.second + kRepeatMs; });
  if (told_ms_.size() >= kMaxInTime) return false;
  return told_ms_.emplace(event.reason + "\n" + event.note, now_ms).second;
}

}  // namespace shima
