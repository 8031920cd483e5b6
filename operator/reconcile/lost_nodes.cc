#include "operator/reconcile/lost_nodes.h"

#include <set>

#include "operator/core_view/core_answers.h"
#include "operator/desired/inputs_reading.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
std::vector<std::string> lost_nodes(const std::vector<NodeView>& nodes) {
  std::vector<std::string> lost;
  for (const NodeView& node : nodes)
    if (is_lost(node)) lost.push_back(node.name);
  return lost;
}

bool is_lost_now(const ObjectView& view, const std::string& node) {
  if (!view.watched(node_kind()) || !view.trouble(node_kind())) return false;
  const ObjectPointer found = view.get(node_kind(), object_key({}, node));
  return found && is_lost(read_node(*found));
}

std::vector<ClusterEvent> events_of_ready_nodes_with_taint(const std::vector<NodeView>& nodes,
                                                           const std::vector<VolumeView>& volumes) {
  std::vector<std::string> ready;
  for (const NodeView& node : nodes)
    if (node.out_of_service && node.ready) ready.push_back(node.name);
  if (ready.empty()) return {};
  std::set<std::string> with_publications;
  for (const auto& [volume, node] : publications_to_take(volumes, ready)) with_publications.insert(node);
  std::vector<ClusterEvent> events;
  for (const std::string& node : with_publications)
    events.push_back(
        {.warning = true,
         .reason = "NodeNotFenced",
         .action = "Unpublish",
         .note = "node " + node +
                 " has the taint node.kubernetes.io/out-of-service, but is Ready, and keeps its " +
                 "publications; turn the machine off, or take the taint away"});
  return events;
}

}  // namespace shima
