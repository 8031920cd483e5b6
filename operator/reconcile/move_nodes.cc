// Nodes that should be in another site than they are: moved once nothing of ours is in use there.
#include <algorithm>

#include "operator/desired/node_labels.h"
#include "operator/desired/node_moves.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kDriver[] = "shima.io";
constexpr char kHostName[] = "kubernetes.io/hostname";
// Of lists of all VolumeAttachments, of which there may be tens of thousands: while nothing changes.
constexpr RetryDelay kListAgain{2'000, 300'000};

// The pods of etcd, core servers and access servers that have a node.
void add_pods(const ClusterPass& pass, NodeUse& use) {
  for (const ObjectPointer& pod : pass.found.pods) {
    const std::string component = label_of(*pod, kComponentLabel), node = text_at(*pod, "/spec/nodeName");
    const bool serves =
        component == kCoreComponent || component == kEtcdComponent || component == kAccessComponent;
    if (serves && !node.empty()) use.servers[node].push_back("pod " + name_of(*pod));
  }
}

// host_directories.cc writes the one term that is looked for.
std::string host_of(const json& volume) {
  const json* terms = value_at(volume, "/spec/nodeAffinity/required/nodeSelectorTerms");
  if (!terms || !terms->is_array() || terms->empty()) return {};
  const json* wanted = value_at(terms->front(), "/matchExpressions");
  if (!wanted || !wanted->is_array()) return {};
  for (const json& each : *wanted) {
    const json* values = value_at(each, "/values");
    if (text_at(each, "/key") == kHostName && values && values->is_array() && values->size() == 1 &&
        values->front().is_string())
      return values->front();
  }
  return {};
}

// A server that is away for the moment comes back to its disks, if its node is still in its site.
void add_disks(const ClusterPass& pass, NodeUse& use) {
  std::map<std::string, std::string> node_of_host;
  for (const NodeView& node : pass.nodes) {
    const auto host = node.labels.find(kHostName);
    node_of_host[host == node.labels.end() ? node.name : host->second] = node.name;
  }
  for (const auto& [name, volume] : pass.view.all(persistent_volume_kind())) {
    if (!belongs_to(*volume, pass.identity) || text_at(*volume, "/status/phase") != "Bound") continue;
    const auto node = node_of_host.find(host_of(*volume));
    if (node != node_of_host.end())
      use.servers[node->second].push_back("the disk of claim " + text_at(*volume, "/spec/claimRef/name"));
  }
}

// Whoever has a publication has a mount, or is about to.
void add_publications(const ClusterPass& pass, NodeUse& use) {
  for (const VolumeView& volume : pass.snapshot->volumes)
    for (const PublicationView& each : volume.publications) ++use.attachments[each.node];
}

void list_attachments(ClusterPass& pass, ClusterState::Attachments& state) {
  state.of_node.clear();
  state.unknown.clear();
  state.listed_ms = pass.now_ms;
  ++state.lists;
  const auto listed = pass.calls.list(volume_attachment_kind());
  if (!listed) {
    pass.failed({{"kind", volume_attachment_kind().kind}}, "list", listed.status());
    state.unknown = "volumes that may be attached: nobody tells (" + listed.status().message() + ")";
    return;
  }
  for (const json& each : *listed)
    if (text_at(each, "/spec/attacher") == kDriver) ++state.of_node[text_at(each, "/spec/nodeName")];
}

// A list that is older than this look may hold nodes, but lets none go.
void add_attachments(ClusterPass& pass, const std::map<std::string, NodeMove>& free_so_far, NodeUse& use) {
  ClusterState::Attachments& state = pass.state.attachments;
  std::set<std::string> nodes;
  bool held_all = true;
  for (const auto& [node, move] : free_so_far) {
    nodes.insert(node);
    held_all = held_all && (!state.unknown.empty() || state.of_node.contains(node));
  }
  if (nodes != state.asked_for) state = {.asked_for = nodes};
  if (state.lists == 0 || !held_all || pass.now_ms >= state.listed_ms + kListAgain.after(state.lists))
    list_attachments(pass, state);
  use.attachments_unknown = state.unknown;
  for (const auto& [node, count] : state.of_node)
    use.attachments[node] = std::max(use.attachments[node], count);
  pass.look_again_after(state.listed_ms + kListAgain.after(state.lists) - pass.now_ms + 1);
}

Status known_to_be_old(const ClusterPass& pass) {
  for (const ResourceKind* kind : {&pod_kind(), &node_kind(), &persistent_volume_kind()}) {
    if (const Status trouble = pass.view.trouble(*kind); !trouble) return trouble;
    if (!pass.view.watched(*kind)) return {Code::kUnavailable, kind->plural + " have not been listed yet"};
  }
  return Status::ok();
}

}  // namespace

void move_nodes(ClusterPass& pass, const std::vector<std::string>& removed_sites) {
  const SiteMap& sites = pass.desired.sites;
  if (sites.moves.empty()) {
    pass.state.attachments = {};
    return;
  }
  NodeUse use;
  add_pods(pass, use);
  add_disks(pass, use);
  add_publications(pass, use);
  if (const Status old = known_to_be_old(pass); !old)
    use.attachments_unknown = "that what is known of pods, nodes and disks may be old: " + old.message();
  MoveDecision decision = decide_moves(sites, removed_sites, use);
  if (!decision.now.empty()) {
    add_attachments(pass, decision.now, use);
    decision = decide_moves(sites, removed_sites, use);
  }
  for (const auto& [node, move] : decision.now) {
    pass.desired.node_patches[node] = node_label_patch(move.to);
    pass.events.push_back({.reason = "NodeMoved",
                           .action = "Label",
                           .note = "node " + node + " goes from site " + move.from + " to " +
                                   (move.to.empty() ? "none" : "site " + move.to) +
                                   ": nothing of ours is in use there"});
  }
  pass.status.waiting_moves = std::move(decision.waiting);
}

}  // namespace shima
