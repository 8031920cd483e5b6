#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
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

// Asked to go, which its PodDisruptionBudget may forbid. A budget that is used up also protects a pod that
// does not serve, though that one protects nothing: it is deleted, if it still is as the watch has shown it.
Status end_pod(ClusterPass& pass, const nlohmann::json& pod) {
  const Status evicted = pass.calls.evict(namespace_of(pod), name_of(pod));
  if (evicted.code() != Code::kUnavailable || has_true_condition(pod, "Ready")) return evicted;
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
  if (ended.code() == Code::kPermissionDenied) pass.failed(*pod, "evict", ended);
}

// What else forbids to act on `step` now; empty: nothing.
std::string obstacle(const ClusterPass& pass) {
  for (const ResourceKind* kind : {&pod_kind(), &stateful_set_kind()})
    if (const Status trouble = pass.view.trouble(*kind); !trouble)
      return "what is known of pods may be old: " + trouble.message();
  const RestartGuard& guard = pass.state.guard;
  const ObjectPointer last = pod_named(pass, guard.restarted_pod());
  if (last && guard.is_pending(text_at(*last, "/metadata/uid"), is_ending(*last), pass.now_ms))
    return "waiting until pod " + guard.restarted_pod() + " goes";
  return {};
}

}  // namespace

void restart_servers(ClusterPass& pass) {
  auto pods = server_pods(pass.found, kCoreComponent);
  auto etcd_pods = server_pods(pass.found, kEtcdComponent);
  pass.state.guard.mark_settling(pods, pass.now_ms);
  pass.state.guard.mark_settling(etcd_pods, pass.now_ms);
  const HealthView health = pass.state.guard.trusted(*pass.snapshot, pods, pass.now_ms);
  RolloutStep step = next_restart(server_sets(pass.found, kCoreComponent), pods, health);
  const RolloutStep members = next_member_restart(server_sets(pass.found, kEtcdComponent), etcd_pods);
  if (members.kind != Kind::kDone) {  // core servers need etcd
    step.kind = members.kind;
    step.pod = members.pod;
    step.reason = members.reason;
  }
  if (step.kind != Kind::kDone) pass.look_again_after(kLookMs);
  if (step.kind == Kind::kRestart && !pass.api_is_away) {
    const std::string why_not = obstacle(pass);
    why_not.empty() ? carry_out(pass, step) : hold_back(step, why_not);
  }
  pass.status.rollout = std::move(step);
}

}  // namespace shima
