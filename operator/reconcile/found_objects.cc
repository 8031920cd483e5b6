#include "operator/reconcile/found_objects.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/why_not_ready.h"
#include "operator/status/conditions.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr int64_t kMostReplicas = 4096;  // what a status says is not believed beyond this

uint32_t count_at(const json& object, const std::string& pointer, int64_t otherwise = 0) {
  return static_cast<uint32_t>(std::clamp<int64_t>(number_at(object, pointer, otherwise), 0, kMostReplicas));
}

bool is_of(const json& object, const std::string& component) {
  return label_of(object, kComponentLabel) == component;
}

bool component_of(const json& object, Component& component) {
  static const std::map<std::string, Component> known{
      {kCoreComponent, Component::kCoreServers}, {kAccessComponent, Component::kAccessServers},
      {kEtcdComponent, Component::kEtcd},        {kCsiControllerComponent, Component::kCsi},
      {kCsiNodeComponent, Component::kCsi},      {kCsiMounterComponent, Component::kCsi}};
  const auto found = known.find(label_of(object, kComponentLabel));
  if (found != known.end()) component = found->second;
  return found != known.end();
}

void keep_only(json& object, const std::vector<std::string>& keys) {
  if (!object.is_object()) return;
  for (auto each = object.begin(); each != object.end();)
    each =
        std::find(keys.begin(), keys.end(), each.key()) == keys.end() ? object.erase(each) : std::next(each);
}

// By the labels of component and site, which a workload and its pods have.
using PodsOfPart = std::map<std::pair<std::string, std::string>, std::vector<ObjectPointer>>;

std::pair<std::string, std::string> part_of(const json& object) {
  return {label_of(object, kComponentLabel), label_of(object, kSiteLabel)};
}

std::string why_not_all_ready(const json& workload, uint32_t wanted, const PodsOfPart& pods_of) {
  constexpr size_t kTold = 2;
  const auto pods = pods_of.find(part_of(workload));
  const uint32_t made = pods == pods_of.end() ? 0 : static_cast<uint32_t>(pods->second.size());
  std::vector<std::string> parts;
  if (std::string why = why_without_pods(workload, made, wanted); !why.empty())
    parts.push_back(std::move(why));
  for (uint32_t i = 0; i < made; ++i)
    if (std::string why = why_not_ready(*pods->second[i]); !why.empty()) parts.push_back(std::move(why));
  return told(parts, kTold);
}

void add_workloads(const std::vector<ObjectPointer>& objects, const std::string& wanted,
                   const std::string& ready, const PodsOfPart& pods_of, std::vector<WorkloadView>& views) {
  for (const ObjectPointer& object : objects) {
    WorkloadView view;
    if (!component_of(*object, view.component)) continue;
    view.site = label_of(*object, kSiteLabel);
    view.name = name_of(*object);
    view.wanted = count_at(*object, wanted, wanted == "/spec/replicas" ? 1 : 0);
    view.ready = std::min(view.wanted, count_at(*object, ready));
    // A DaemonSet without pods has nothing to say before its controller has seen it.
    if (wanted != "/spec/replicas" && !has_observed(*object)) view.wanted = std::max(view.wanted, 1u);
    if (view.ready < view.wanted) view.why = why_not_all_ready(*object, view.wanted, pods_of);
    if (is_of(*object, kCsiMounterComponent) && has_observed(*object))
      view.old_mounters =
          view.wanted - std::min(view.wanted, count_at(*object, "/status/updatedNumberScheduled"));
    views.push_back(std::move(view));
  }
}

uint32_t ordinal_of(const json& pod) {
  std::string text = label_of(pod, "apps.kubernetes.io/pod-index");
  if (text.empty()) text = name_of(pod).substr(name_of(pod).rfind('-') + 1);
  uint32_t ordinal = 0;
  std::from_chars(text.data(), text.data() + text.size(), ordinal);
  return ordinal;
}

std::string stateful_set_of(const json& pod) {
  const json* owners = value_at(pod, "/metadata/ownerReferences");
  if (!owners || !owners->is_array()) return {};
  for (const json& owner : *owners)
    if (text_at(owner, "/kind") == "StatefulSet") return text_at(owner, "/name");
  return {};
}

}  // namespace

void trim_node(json& node) {
  if (const auto metadata = node.find("metadata"); metadata != node.end()) metadata->erase("annotations");
  if (const auto spec = node.find("spec"); spec != node.end()) keep_only(*spec, {"unschedulable", "taints"});
  const auto status = node.find("status");
  if (status == node.end() || !status->is_object()) return;
  keep_only(*status, {"addresses", "conditions"});
  const auto conditions = status->find("conditions");
  if (conditions == status->end() || !conditions->is_array()) return;
  json ready = json::array();
  for (json& each : *conditions)
    if (text_at(each, "/type") == "Ready")
      ready.push_back({{"type", "Ready"}, {"status", text_at(each, "/status")}});
  *conditions = std::move(ready);
}

void trim_pod(json& pod) {
  if (const auto metadata = pod.find("metadata"); metadata != pod.end()) metadata->erase("annotations");
  if (const auto spec = pod.find("spec"); spec != pod.end()) keep_only(*spec, {"nodeName"});
  if (const auto status = pod.find("status"); status != pod.end()) trim_pod_status(*status);
}

bool belongs_to(const json& object, const ClusterIdentity& cluster) {
  if (label_of(object, kClusterLabel) != cluster.name) return false;
  const std::string name_space = namespace_of(object);
  if (name_space.empty()) return label_of(object, kClusterNamespaceLabel) == cluster.name_space;
  const json* owners = value_at(object, "/metadata/ownerReferences");
  const bool owned_by_a_cluster =
      owners && owners->is_array() && std::any_of(owners->begin(), owners->end(), [](const json& each) {
        return text_at(each, "/kind") == "ShimaCluster";
      });
  return name_space == cluster.name_space && (!owned_by_a_cluster || is_owned_by(object, cluster.uid));
}

std::vector<WorkloadView> workload_views(const FoundObjects& found) {
  PodsOfPart pods;
  for (const ObjectPointer& pod : found.pods) {
    const std::string phase = text_at(*pod, "/status/phase");  // an evicted one may stay beside its successor
    if (phase != "Failed" && phase != "Succeeded") pods[part_of(*pod)].push_back(pod);
  }
  std::vector<WorkloadView> views;
  add_workloads(found.stateful_sets, "/spec/replicas", "/status/readyReplicas", pods, views);
  add_workloads(found.deployments, "/spec/replicas", "/status/readyReplicas", pods, views);
  add_workloads(found.daemon_sets, "/status/desiredNumberScheduled", "/status/numberReady", pods, views);
  return views;
}

std::vector<WorkloadView> missing_workloads(const std::vector<json>& wanted,
                                            const std::vector<WorkloadView>& found) {
  std::set<std::string> there;
  for (const WorkloadView& view : found) there.insert(view.name);
  std::vector<WorkloadView> missing;
  for (const json& object : wanted) {
    WorkloadView view;
    const std::string kind = text_at(object, "/kind");
    const bool is_workload = kind == "StatefulSet" || kind == "Deployment" || kind == "DaemonSet";
    if (!is_workload || there.contains(name_of(object)) || !component_of(object, view.component)) continue;
    view.site = label_of(object, kSiteLabel);
    view.name = name_of(object);
    view.wanted = count_at(object, "/spec/replicas", 1);
    missing.push_back(std::move(view));
  }
  return missing;
}

std::vector<CoreServerSet> server_sets(const FoundObjects& found, const std::string& component) {
  std::vector<CoreServerSet> sets;
  for (const ObjectPointer& set : found.stateful_sets)
    if (is_of(*set, component))
      sets.push_back({label_of(*set, kSiteLabel), count_at(*set, "/spec/replicas", 1)});
  return sets;
}

std::vector<CoreServerPod> server_pods(const FoundObjects& found, const std::string& component) {
  std::map<std::string, std::string> newest_revision;
  for (const ObjectPointer& set : found.stateful_sets)
    newest_revision[name_of(*set)] = text_at(*set, "/status/updateRevision");
  std::vector<CoreServerPod> pods;
  for (const ObjectPointer& pod : found.pods) {
    if (!is_of(*pod, component)) continue;
    const auto revision = newest_revision.find(stateful_set_of(*pod));
    if (revision == newest_revision.end()) continue;
    pods.push_back({.name = name_of(*pod),
                    .site = label_of(*pod, kSiteLabel),
                    .node = text_at(*pod, "/spec/nodeName"),
                    .ordinal = ordinal_of(*pod),
                    .ready = has_true_condition(*pod, "Ready"),
                    .up_to_date = revision->second.empty() ||
                                  label_of(*pod, "controller-revision-hash") == revision->second,
                    .ending = is_ending(*pod)});
  }
  return pods;
}

std::vector<std::string> core_endpoints(const FoundObjects& found, const std::string& name_space) {
  std::vector<std::string> endpoints;
  for (const ObjectPointer& set : found.stateful_sets) {
    if (!is_of(*set, kCoreComponent)) continue;
    const uint32_t replicas = count_at(*set, "/spec/replicas", 1);
    for (uint32_t i = 0; i < replicas; ++i)
      endpoints.push_back(pod_address(name_of(*set), i, name_space) + ":" + std::to_string(kControlPort));
  }
  return endpoints;
}

}  // namespace shima
