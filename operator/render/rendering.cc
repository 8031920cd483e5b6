#include "operator/render/rendering.h"

#include "operator/desired/etcd_record.h"
#include "operator/desired/inputs_reading.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kUnknownUid[] = "00000000-0000-0000-0000-000000000000";  // the API server gives one

std::string kind_of(const Json& object) {
  const auto kind = object.is_object() ? object.find("kind") : object.end();
  return object.is_object() && kind != object.end() && kind->is_string() ? kind->get<std::string>() : "";
}

// The objects of a kind, Lists opened.
std::vector<Json> of_kind(const std::vector<Json>& documents, const std::string& kind) {
  std::vector<Json> found;
  for (const Json& document : documents) {
    if (kind_of(document) == kind) found.push_back(document);
    if (!kind_of(document).ends_with("List") || !document.contains("items") || !document["items"].is_array())
      continue;
    for (const Json& item : document["items"])
      if (kind_of(item) == kind) found.push_back(item);
  }
  return found;
}

std::string text_of(const Json& object, const char* pointer, const std::string& fallback) {
  const Json::json_pointer where(pointer);
  return object.contains(where) && object.at(where).is_string() ? object.at(where).get<std::string>()
                                                                : fallback;
}

}  // namespace

Result<DesiredCluster> render(const RenderingInputs& inputs) {
  const std::vector<Json> clusters = of_kind(inputs.cluster, "ShimaCluster");
  if (clusters.size() != 1)
    return {Code::kInvalidArgument,
            "found " + std::to_string(clusters.size()) + " objects of kind ShimaCluster, wanted one"};
  const Json& object = clusters.front();
  const ClusterIdentity cluster{text_of(object, "/metadata/namespace", inputs.name_space),
                                text_of(object, "/metadata/name", "shima"),
                                text_of(object, "/metadata/uid", kUnknownUid)};
  const auto spec = read_cluster_spec(object.contains("spec") ? object["spec"] : Json::object());
  if (!spec) return spec.status();
  std::vector<NodeView> nodes;
  for (const Json& node : of_kind(inputs.nodes, "Node")) nodes.push_back(read_node(node));
  ObservedCluster observed =
      read_observed(cluster, of_kind(inputs.existing, "StatefulSet"), inputs.api_kinds);
  for (const Json& object : of_kind(inputs.existing, "ConfigMap")) {
    if (text_of(object, "/metadata/name", "") != kEtcdRecordName) continue;
    const auto members = read_etcd_record(object);
    if (!members) return members.status();
    observed.etcd_members_of_site = *members;
  }
  return desired_objects(cluster, *spec, nodes, observed);
}

}  // namespace shima
