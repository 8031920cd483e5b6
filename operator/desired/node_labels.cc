#include "operator/desired/node_labels.h"

namespace shima {

nlohmann::json node_label_patch(const std::string& site) {
  const nlohmann::json value = site.empty() ? nlohmann::json() : nlohmann::json(site);
  return {{"metadata", {{"labels", {{kOwnSiteLabel, value}}}}}};
}

std::map<std::string, nlohmann::json> node_label_patches(const SiteMap& sites,
                                                         const std::vector<NodeView>& nodes) {
  std::map<std::string, nlohmann::json> patches;
  std::map<std::string, std::string> site_of_node;
  for (const auto& [site, names] : sites.nodes_of_site)
    for (const std::string& name : names) site_of_node[name] = site;
  for (const NodeView& node : nodes) {
    const auto now = node.labels.find(kOwnSiteLabel);
    const auto wanted = site_of_node.find(node.name);
    if (wanted == site_of_node.end()) {
      if (now != node.labels.end() && !sites.keep_label.contains(node.name))
        patches[node.name] = node_label_patch("");
    } else if (now == node.labels.end() || now->second != wanted->second) {
      patches[node.name] = node_label_patch(wanted->second);
    }
  }
  return patches;
}

}  // namespace shima
