#include "operator/desired/inputs_reading.h"

#include "operator/desired/object_labels.h"
#include "operator/desired/site_map.h"

namespace shima {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

const Json& at(const Json& object, const Pointer& where) {
  static const Json nothing;
  return object.contains(where) ? object.at(where) : nothing;
}

std::string text(const Json& object, const Pointer& where) {
  const Json& found = at(object, where);
  return found.is_string() ? found.get<std::string>() : "";
}

std::map<std::string, std::string> labels_of(const Json& object) {
  std::map<std::string, std::string> labels;
  const Json& found = at(object, Pointer("/metadata/labels"));
  if (!found.is_object()) return labels;
  for (const auto& [key, value] : found.items())
    if (value.is_string()) labels[key] = value;
  return labels;
}

bool has_label(const std::map<std::string, std::string>& labels, const char* key, const std::string& value) {
  const auto found = labels.find(key);
  return found != labels.end() && found->second == value;
}

// Of a site's pods; the witness is chosen for otherwise.
void note_selector(const Json& workload, const std::string& site,
                   const std::map<std::string, std::string>& labels, ObservedCluster& observed) {
  const Json& selector = at(workload, Pointer("/spec/template/spec/nodeSelector"));
  if (site.empty() || !selector.is_object() || selector.contains(kOwnSiteLabel)) return;
  observed.by_topology_label[text(workload, Pointer("/metadata/name"))] =
      text(workload, Pointer("/spec/template/spec/containers/0/image"));
  if (has_label(labels, kComponentLabel, kCsiNodeComponent) ||
      has_label(labels, kComponentLabel, kCsiMounterComponent))
    observed.daemons_by_topology_label.insert(site);
}

}  // namespace

NodeView read_node(const Json& node) {
  NodeView view;
  view.name = text(node, Pointer("/metadata/name"));
  view.labels = labels_of(node);
  for (const Json& address : at(node, Pointer("/status/addresses")))
    if (text(address, Pointer("/type")) == "InternalIP")
      view.internal_addresses.push_back(text(address, Pointer("/address")));
  for (const Json& condition : at(node, Pointer("/status/conditions")))
    if (text(condition, Pointer("/type")) == "Ready")
      view.ready = text(condition, Pointer("/status")) == "True";
  view.unschedulable = at(node, Pointer("/spec/unschedulable")) == true;
  for (const Json& taint : at(node, Pointer("/spec/taints"))) {
    const std::string key = text(taint, Pointer("/key"));
    view.taints.push_back({key, text(taint, Pointer("/value")), text(taint, Pointer("/effect"))});
    view.out_of_service = view.out_of_service || key == "node.kubernetes.io/out-of-service";
    view.to_be_deleted =
        view.to_be_deleted || key == "ToBeDeletedByClusterAutoscaler" || key == "karpenter.sh/disrupted";
  }
  return view;
}

ObservedCluster read_observed(const ClusterIdentity& cluster, const std::vector<Json>& workloads,
                              std::set<std::string> api_kinds) {
  ObservedCluster observed;
  observed.api_kinds = std::move(api_kinds);
  for (const Json& set : workloads) {
    const auto labels = labels_of(set);
    if (!has_label(labels, kClusterLabel, cluster.name) ||
        !has_label(labels, kClusterNamespaceLabel, cluster.name_space))
      continue;
    const Json& replicas = at(set, Pointer("/spec/replicas"));
    const uint32_t count = replicas.is_number_integer() ? replicas.get<uint32_t>() : 1;  // the API's default
    const auto site = labels.find(kSiteLabel);
    const std::string name = site == labels.end() ? "" : site->second;
    note_selector(set, name, labels, observed);
    if (has_label(labels, kComponentLabel, kCoreComponent) && !name.empty())
      observed.core_servers_of_site[name] = count;
    if (has_label(labels, kComponentLabel, kEtcdComponent)) observed.etcd_members_of_site[name] = count;
  }
  return observed;
}

}  // namespace shima
