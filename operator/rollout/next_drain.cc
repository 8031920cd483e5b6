#include "operator/rollout/next_drain.h"

#include <map>
#include <set>

#include "operator/rollout/next_restart.h"

namespace shima {
namespace {

// What the node itself waits for; empty: nothing.
std::string in_use(const CordonedNode& node) {
  if (!node.volumes_known) return "waiting until core servers say which volumes are published there";
  if (node.volumes.empty()) return {};
  return "waiting until " + std::string(node.volumes.size() == 1 ? "volume " : "volumes ") +
         some_of(node.volumes) + (node.volumes.size() == 1 ? " is" : " are") + " no longer published there";
}

// By site: its node that would take disks along.
std::map<std::string, std::string> sites_to_keep_shut(const std::vector<CordonedNode>& nodes) {
  std::map<std::string, std::string> sites;
  for (const CordonedNode& node : nodes)
    if (node.takes_disks_along) sites.emplace(node.site, node.name);
  return sites;
}

// Of the sites with a cordoned node that has been left: the one that is open already, or the first one.
// Others of a site may be in use still: nodes are often cordoned together and drained one after another.
std::string choose_site(const std::vector<CordonedNode>& nodes, const std::string& open_site, bool may_open) {
  const auto shut = sites_to_keep_shut(nodes);
  std::set<std::string> left;
  for (const CordonedNode& node : nodes)
    if (in_use(node).empty() && !shut.contains(node.site)) left.insert(node.site);
  if (left.contains(open_site)) return open_site;
  return may_open && !left.empty() ? *left.begin() : "";
}

// `deleted_node`: that keeps the budget of its site shut; empty: there is none.
std::string told(const CordonedNode& node, const std::string& obstacle, const std::string& open_site,
                 const std::string& deleted_node) {
  if (node.takes_disks_along)
    return "an autoscaler wants to delete node " + node.name + ", which holds the disks of " +
           some_of(node.servers) +
           ": they may not be evicted; exclude nodes with core servers from scale-down "
           "(docs/howto/kubernetes.md)";
  const std::string head = "node " + node.name + " is cordoned: ";
  if (const std::string why = in_use(node); !why.empty()) return head + why;
  if (!deleted_node.empty())
    return head + some_of(node.servers) + " waits until no autoscaler wants to delete node " + deleted_node;
  if (!obstacle.empty()) return head + obstacle;
  if (node.site == open_site) return head + some_of(node.servers) + " may be evicted";
  return head + some_of(node.servers) + " waits for its turn: one server goes at a time";
}

}  // namespace

DrainStep next_drain(const std::vector<CordonedNode>& nodes, const std::string& obstacle,
                     const std::string& open_site, bool may_open) {
  DrainStep step;
  if (obstacle.empty()) step.open_site = choose_site(nodes, open_site, may_open);
  const auto shut = sites_to_keep_shut(nodes);
  for (const CordonedNode& node : nodes) {
    const auto by = shut.find(node.site);
    step.told.push_back(told(node, obstacle, step.open_site, by == shut.end() ? "" : by->second));
    if (!node.takes_disks_along && step.holds_restarts.empty()) step.holds_restarts = step.told.back();
  }
  return step;
}

}  // namespace shima
