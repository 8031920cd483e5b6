// PURE: which site each node is in (docs/decisions/0012-operator.md).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

struct SiteMap {
  std::string label;           // the node label whose value is the site: the pods' affinity, CSI's topology
  bool label_is_ours = false;  // the operator writes it (a list with selectors)
  std::map<std::string, std::vector<std::string>>
      nodes_of_site;                  // node names, sorted; sites that are only kept have none
  std::vector<std::string> problems;  // for people, a sentence each: a node that two entries fit, a site's
                                      // name that cannot be one, a site without nodes
  std::vector<std::string> refused;   // as DesiredCluster::refused
  std::set<std::string> keep_label;   // nodes in no site whose label stays as it is: nobody said that it goes
};

// Of nodes whose site is in a list with selectors: the operator writes it.
inline constexpr char kOwnSiteLabel[] = "topology.shima.io/site";

// `kept`: sites that exist already (ObservedCluster): they stay, unless the spec's removed_sites names them
// and none of their nodes is Ready. A node that our label puts into a site that is listed or kept stays in it
// while it fits no entry, or several: whoever left its site would lose its mounts.
SiteMap map_sites(const ShimaClusterSpec& spec, const std::vector<NodeView>& nodes,
                  const std::vector<std::string>& kept);

}  // namespace shima
