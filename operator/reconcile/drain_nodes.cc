#include <algorithm>

#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

// Whether some budget lets core servers go, as the watch has it, also one of all sites, as older operators
// made it. On trial it always does (desired/policies.cc), and nobody waits for that to be over.
bool one_is_open(const ClusterPass& pass) {
  if (true_at(*pass.object, "/spec/trial")) return false;
  const ResourceKind& kind = disruption_budget_kind();
  if (!pass.view.watched(kind) || !pass.view.trouble(kind)) return true;  // who knows
  const ObjectMap all = pass.view.all(kind);
  return std::any_of(all.begin(), all.end(), [&](const auto& each) {
    const nlohmann::json& budget = *each.second;
    return belongs_to(budget, pass.identity) && label_of(budget, kComponentLabel) == kCoreComponent &&
           number_at(budget, "/spec/maxUnavailable", 1) != 0;
  });
}

// Autoscalers drain nodes without a cordon.
bool is_drained(const NodeView& node) { return node.unschedulable || node.to_be_deleted; }

// When each was seen to be cordoned; those that are not any more are forgotten.
void note_cordoned(const std::vector<NodeView>& nodes, uint64_t now_ms,
                   std::map<std::string, uint64_t>& since) {
  std::map<std::string, uint64_t> cordoned;
  for (const NodeView& node : nodes) {
    if (!is_drained(node)) continue;
    const auto found = since.find(node.name);
    cordoned[node.name] = found == since.end() ? now_ms : found->second;
  }
  since = std::move(cordoned);
}

// Those whose machines an autoscaler deletes, and the disks of core servers with them. A claim is taken to
// outlive its node; a trial's budgets are open anyway.
std::set<std::string> nodes_that_take_disks_along(const ClusterPass& pass) {
  const nlohmann::json* disks = value_at(*pass.object, "/spec/coreServers/disks");
  std::set<std::string> nodes;
  const bool on_nodes = disks && std::any_of(disks->begin(), disks->end(), [](const nlohmann::json& disk) {
                          return !text_at(disk, "/hostPath").empty();
                        });
  if (!on_nodes || true_at(*pass.object, "/spec/trial")) return nodes;
  for (const NodeView& node : pass.nodes)
    if (node.to_be_deleted) nodes.insert(node.name);
  return nodes;
}

// Those that core servers run on, by name.
std::vector<CordonedNode> cordoned_nodes(const ClusterPass& pass, const std::vector<CoreServerPod>& pods) {
  const CoreSnapshot& told = *pass.snapshot;
  const std::set<std::string> with_disks = nodes_that_take_disks_along(pass);
  std::vector<CordonedNode> nodes;
  for (const auto& [name, since_ms] : pass.state.drains.cordoned_since_ms) {
    CordonedNode node{.name = name, .takes_disks_along = with_disks.contains(name)};
    for (const CoreServerPod& pod : pods) {
      if (pod.node != name) continue;
      node.site = pod.site;
      node.servers.push_back(pod.site + "/core-" + std::to_string(pod.ordinal));
    }
    if (node.servers.empty()) continue;
    node.volumes_known = told.volumes_known && told.listed_ms > since_ms;
    for (const VolumeView& volume : told.volumes)
      if (std::any_of(volume.publications.begin(), volume.publications.end(),
                      [&](const PublicationView& each) { return each.node == node.name; }))
        node.volumes.push_back(volume.name);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace

void settle_drains(ClusterPass& pass, const std::vector<CoreServerPod>& pods, const std::string& obstacle) {
  auto& drains = pass.state.drains;
  note_cordoned(pass.nodes, pass.now_ms, drains.cordoned_since_ms);
  if (one_is_open(pass) || !drains.open_site.empty()) pass.state.guard.budget_is_open(pass.now_ms);
  DrainStep step = next_drain(cordoned_nodes(pass, pods), obstacle, drains.open_site,
                              pass.state.guard.budgets_are_shut(pass.now_ms));
  if (step.open_site != drains.open_site) {
    pass.look_again_after(1);
    log(LogLevel::kInfo, "operator",
        step.open_site.empty() ? "no core server may be evicted any more"
                               : "one core server of site " + step.open_site + " may be evicted");
    if (!step.open_site.empty())
      pass.events.push_back({.reason = "DrainGoesOn",
                             .action = "Drain",
                             .note = "one core server of site " + step.open_site +
                                     " may be evicted: volumes have left its cordoned nodes"});
  }
  drains.open_site = step.open_site;
  pass.status.drain = std::move(step);
}

}  // namespace shima
