#include "operator/desired/inputs_reading.h"

#include "operator/desired/object_labels.h"

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
  for (const Json& taint : at(node, Pointer("/spec/taints")))
    view.out_of_service =
        view.out_of_service || text(taint, Pointer("/key")) == "node.kubernetes.io/out-of-service";
  return view;
}

ObservedCluster read_observed(const ClusterIdentity& cluster, const std::vector<Json>& stateful_sets,
                              std::set<std::string> api_kinds) {
  ObservedCluster observed;
  observed.api_kinds = std::move(api_kinds);
  for (const Json& set : stateful_sets) {
    const auto labels = labels_of(set);
    if (!has_label(labels, kClusterLabel, cluster.name) ||
        !has_label(labels, kClusterNamespaceLabel, cluster.name_space))
      continue;
    const Json& replicas = at(set, Pointer("/spec/replicas"));
    const uint32_t count = replicas.is_number_integer() ? replicas.get<uint32_t>() : 1;  // the API's default
    const auto site = labels.find(kSiteLabel);
    const std::string name = site == labels.end() ? "" : site->second;
    if (has_label(labels, kComponentLabel, kCoreComponent) && !name.empty())
      observed.core_servers_of_site[name] = count;
    if (has_label(labels, kComponentLabel, kEtcdComponent)) observed.etcd_members_of_site[name] = count;
  }
  return observed;
}

}  // namespace shima
