#include "common/kubernetes/node_label.h"

namespace shima {

Result<std::string> node_label(ApiClient& client, const std::string& node, const std::string& key) {
  Result<nlohmann::json> object = client.get({"v1", "Node", "nodes", false}, "", node);
  if (!object) return object.status();
  std::string has;
  const nlohmann::json::json_pointer place("/metadata/labels");
  if (object->contains(place) && (*object)[place].is_object()) {
    for (const auto& [name, value] : (*object)[place].items()) {
      if (name == key && value.is_string() && !value.get<std::string>().empty())
        return value.get<std::string>();
      has += (has.empty() ? "" : ", ") + name;
    }
  }
  return {Code::kNotFound, "node " + node + " has no label " + key +
                               ", which says the site it is in; it has: " + (has.empty() ? "none" : has) +
                               ". Set it by: kubectl label node " + node + " " + key + "=SITE"};
}

}  // namespace shima
