// PURE: which site each node is in (docs/decisions/0012-operator.md).
//
// A node is in the site that its label topology.shima.io/site says, which the operator writes; the value of
// spec.topology.label, or the entry of spec.topology.sites that it fits, says where it should be. They differ
// when somebody has changed one or the other: then the node stays where it is until nothing of ours is in use
// on it (node_moves.h), since whoever leaves its site loses the pods under its mounts.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

struct NodeMove {
  std::string from;
  std::string to;  // empty: into no site
};

struct SiteMap {
  // The node label whose value is the site for CSI's topology, and so in PersistentVolumes: never another.
  std::string label;
  bool label_is_ours = false;  // it is kOwnSiteLabel (a list with selectors)
  std::map<std::string, std::vector<std::string>>
      nodes_of_site;                      // node names, sorted; sites that are only kept have none
  std::map<std::string, NodeMove> moves;  // by node: where it should be, if not where it is
  std::vector<std::string> problems;  // for people, a sentence each: a node that two entries fit, a site's
                                      // name that cannot be one, a site without nodes
  std::vector<std::string> refused;   // as DesiredCluster::refused
  std::set<std::string> keep_label;   // nodes in no site whose label stays as it is: nobody said that it goes
};

// By which pods choose their nodes. The operator writes it.
inline constexpr char kOwnSiteLabel[] = "topology.shima.io/site";

// `kept`: sites that exist already (ObservedCluster): they stay, unless the spec's removed_sites names them
// and none of their nodes is Ready. A node that our label puts into a site that is in use stays in it while
// it fits no entry, or several. `by_topology_label`: sites whose DaemonSets do not go by our label yet, so
// that it says nothing there.
SiteMap map_sites(const ShimaClusterSpec& spec, const std::vector<NodeView>& nodes,
                  const std::vector<std::string>& kept, const std::set<std::string>& by_topology_label = {});

}  // namespace shima
