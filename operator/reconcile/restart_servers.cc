#include <algorithm>

#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/node_fit.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/rollout/next_member_restart.h"

namespace shima {
namespace {

using Kind = RolloutStep::Kind;

constexpr uint64_t kLookMs = 5'000;  // while an upgrade goes on

ObjectPointer pod_named(const ClusterPass& pass, const std::string& name) {
  for (const ObjectPointer& pod : pass.found.pods)
    if (name_of(*pod) == name) return pod;
  return nullptr;
}

void hold_back(RolloutStep& step, const std::string& reason) {
  step.kind = Kind::kWait;
  step.reason = reason;
}

// A core server's budget is not asked: it is shut but for drains, and next_restart() heeds more. It is
// deleted if it still is as the watch has shown it. A member of etcd is asked to go, which its
// PodDisruptionBudget may forbid. A budget that is used up also protects a pod that does not serve, though
// that one protects nothing: it is deleted, too.
Status end_pod(ClusterPass& pass, const nlohmann::json& pod) {
  if (label_of(pod, kComponentLabel) == kCoreComponent) return pass.calls.remove_as_seen(pod_kind(), pod);
  const Status evicted = pass.calls.evict(namespace_of(pod), name_of(pod));
  const bool later = evicted.code() == Code::kUnavailable || evicted.code() == Code::kInternal;
  if (!later || has_true_condition(pod, "Ready")) return evicted;
  return pass.calls.remove_as_seen(pod_kind(), pod);
}

void carry_out(ClusterPass& pass, RolloutStep& step) {
  const ObjectPointer pod = pod_named(pass, step.pod);
  if (!pod) return hold_back(step, "waiting for the newest list of pods");
  log(LogLevel::kInfo, "operator", "restart pod " + key_of(*pod) + ": " + step.reason);
  const Status ended = end_pod(pass, *pod);
  if (ended) {
    pass.state.guard.restarted(step.pod, text_at(*pod, "/metadata/uid"), pass.now_ms);
    pass.events.push_back(
        {.reason = "Restarting", .action = "Restart", .note = "pod " + step.pod + ": " + step.reason});
    return;
  }
  hold_back(step, "pod " + step.pod + " may not be restarted now: " + ended.message());
  if (ended.code() == Code::kPermissionDenied) pass.failed(*pod, "delete", ended);
}

// One that nobody has noted does not come back where etcd exists, if its directory turns out to be empty; and
// one that is being replaced is not to start anyhow.
std::string obstacle_by_mark(const ClusterPass& pass, const nlohmann::json& pod) {
  using Phase = MemberMark::Phase;
  if (label_of(pod, kComponentLabel) != kEtcdComponent) return {};
  if (!pass.etcd_begun) return std::string("waiting for ConfigMap ") + kEtcdBegunName;
  const Phase phase = pass.etcd_begun->of(name_of(pod)).phase;
  const bool may_go = !pass.etcd_begun->existing || phase == Phase::kBegun || phase == Phase::kJoining;
  return may_go ? "" : "waiting until " + name_of(pod) + " has begun, by ConfigMap " + kEtcdBegunName;
}

// A core server that serves waits while a drain may take another one, or was let to a moment ago.
std::string obstacle_by_drains(const ClusterPass& pass, const nlohmann::json& pod) {
  if (label_of(pod, kComponentLabel) != kCoreComponent || !has_true_condition(pod, "Ready")) return {};
  const std::string& drain = pass.status.drain.holds_restarts;
  if (!drain.empty()) return "drains come first: " + drain;
  return pass.state.guard.budgets_are_shut(pass.now_ms) ? "" : "waiting until no drain takes a core server";
}

const nlohmann::json* new_pod_spec(const ClusterPass& pass, const std::string& pod) {
  for (const ObjectPointer& set : pass.found.stateful_sets)
    if (name_of(*set) == pod.substr(0, pod.rfind('-'))) return value_at(*set, "/spec/template/spec");
  return nullptr;
}

// Empty: one of them is not bound, or cannot be read: nobody knows where the pod may go.
std::vector<nlohmann::json> volumes_of(ClusterPass& pass, const nlohmann::json& pod) {
  std::vector<nlohmann::json> volumes;
  for (const std::string& name : claims_of(pass, pod)) {
    const auto claim = pass.calls.get(claim_kind(), pass.identity.name_space, name);
    if (!claim) return {};
    auto volume = pass.calls.get(persistent_volume_kind(), "", text_at(*claim, "/spec/volumeName"));
    if (!volume) return {};
    volumes.push_back(std::move(volume).value());
  }
  return volumes;
}

// Whether some other node would take the pod and its disks, and has no server of its kind yet.
bool may_go_elsewhere(ClusterPass& pass, const nlohmann::json& pod, const nlohmann::json& new_spec) {
  std::set<std::string> taken;
  for (const ObjectPointer& each : pass.found.pods)
    if (label_of(*each, kComponentLabel) == label_of(pod, kComponentLabel))
      taken.insert(text_at(*each, "/spec/nodeName"));
  std::vector<const NodeView*> others;
  for (const NodeView& node : pass.nodes)
    if (!taken.contains(node.name) && misfit(node, new_spec).empty()) others.push_back(&node);
  if (others.empty()) return false;
  const auto volumes = volumes_of(pass, pod);
  return !volumes.empty() && std::any_of(others.begin(), others.end(), [&](const NodeView* node) {
    return std::all_of(volumes.begin(), volumes.end(),
                       [&](const nlohmann::json& volume) { return is_usable_on(volume, *node); });
  });
}

// One that serves stays where it is while its node would not take its successor, and its disks are there.
std::string obstacle_by_node(ClusterPass& pass, const nlohmann::json& pod) {
  const std::string name = text_at(pod, "/spec/nodeName");
  const nlohmann::json* new_spec = new_pod_spec(pass, name_of(pod));
  if (name.empty() || !new_spec || !has_true_condition(pod, "Ready")) return {};
  const auto own = std::find_if(pass.nodes.begin(), pass.nodes.end(),
                                [&](const NodeView& node) { return node.name == name; });
  const std::string why = own == pass.nodes.end() ? "there is no such node" : misfit(*own, *new_spec);
  if (why.empty() || may_go_elsewhere(pass, pod, *new_spec)) return {};
  return "node " + name + " no longer fits pod " + name_of(pod) + ": " + why +
         " (no other node would take the pod with its disks)";
}

// What else forbids to act on `step` now; empty: nothing.
std::string obstacle(ClusterPass& pass, const RolloutStep& step) {
  for (const ResourceKind* kind : {&pod_kind(), &stateful_set_kind()})
    if (const Status trouble = pass.view.trouble(*kind); !trouble)
      return "what is known of pods may be old: " + trouble.message();
  const RestartGuard& guard = pass.state.guard;
  const ObjectPointer last = pod_named(pass, guard.restarted_pod());
  if (last && guard.is_pending(text_at(*last, "/metadata/uid"), is_ending(*last), pass.now_ms))
    return "waiting until pod " + guard.restarted_pod() + " goes";
  const ObjectPointer next = pod_named(pass, step.pod);
  if (!next) return {};
  const std::string by_drains = obstacle_by_drains(pass, *next);
  if (!by_drains.empty()) return by_drains;
  const std::string by_node = obstacle_by_node(pass, *next);
  if (!by_node.empty()) return by_node;
  const std::string by_claims = obstacle_by_claims(pass, *next);
  return by_claims.empty() ? obstacle_by_mark(pass, *next) : by_claims;
}

// Servers of removed sites do not come back, and nobody waits for them. What is wrong with volumes stays.
void forget_removed_servers(HealthView& health, const std::set<std::string>& removed_sites) {
  const auto is_removed = [&](const std::string& server) {  // SITE/core-N
    return removed_sites.contains(server.substr(0, server.rfind('/')));
  };
  std::erase_if(health.servers_away, is_removed);
  std::erase_if(health.replication, [&](const ServerReplication& each) { return is_removed(each.server); });
  std::erase_if(health.refused, [&](const RefusedServer& each) { return is_removed(each.server); });
}

}  // namespace

void restart_servers(ClusterPass& pass, bool heed_other_sites) {
  auto pods = server_pods(pass.found, kCoreComponent);
  auto etcd_pods = server_pods(pass.found, kEtcdComponent);
  pass.state.guard.mark_settling(pods, pass.now_ms);
  pass.state.guard.mark_settling(etcd_pods, pass.now_ms);
  auto sets = server_sets(pass.found, kCoreComponent);
  HealthView health = pass.state.guard.trusted(*pass.snapshot, pods, pass.now_ms);
  const std::set<std::string>& removed = pass.desired.removed_sites;
  forget_removed_servers(health, removed);
  std::erase_if(pods, [&](const CoreServerPod& pod) { return removed.contains(pod.site); });
  std::erase_if(sets, [&](const CoreServerSet& set) { return removed.contains(set.site); });
  settle_drains(pass, pods, obstacle_to_restart(sets, pods, health, heed_other_sites).reason);
  RolloutStep step = next_restart(sets, pods, health, heed_other_sites);
  const RolloutStep members =
      next_member_restart(server_sets(pass.found, kEtcdComponent), etcd_pods, removed);
  if (members.kind != Kind::kDone && !members.core_servers_go_on) {  // core servers need etcd
    step.kind = members.kind;
    step.pod = members.pod;
    step.reason = members.reason;
    step.waits_for_other_sites = false;
  }
  if (step.kind != Kind::kDone) pass.look_again_after(kLookMs);
  if (step.kind == Kind::kRestart && !pass.api_is_away) {
    const std::string why_not = obstacle(pass, step);
    why_not.empty() ? carry_out(pass, step) : hold_back(step, why_not);
  }
  if (members.core_servers_go_on) {
    if (step.kind == Kind::kDone) step.kind = Kind::kWait;
    step.reason += (step.reason.empty() ? "" : "; ") + members.reason;
  }
  pass.status.rollout = std::move(step);
}

}  // namespace shima
