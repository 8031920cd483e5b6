#include "operator/rollout/next_restart.h"

#include <algorithm>
#include <tuple>

namespace shima {
namespace {

constexpr size_t kNamed = 3;  // of a list, in a text for people

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

// Sites in order of their names, in each the highest ordinal first, as StatefulSets themselves do.
bool before(const CoreServerPod& a, const CoreServerPod& b) {
  return std::tie(a.site, b.ordinal) < std::tie(b.site, a.ordinal);
}

std::string server_of(const CoreServerPod& pod) { return pod.site + "/core-" + std::to_string(pod.ordinal); }

// What forbids to take a server that serves now away; empty: nothing.
std::string obstacle(const std::vector<CoreServerSet>& sets, const std::vector<CoreServerPod>& pods,
                     const HealthView& health) {
  uint32_t wanted = 0;
  for (const CoreServerSet& set : sets) wanted += set.wanted;
  std::vector<std::string> not_ready;
  for (const CoreServerPod& pod : pods)
    if (!pod.ready || pod.ending) not_ready.push_back(server_of(pod));
  std::sort(not_ready.begin(), not_ready.end());
  if (!not_ready.empty()) return "waiting until " + some_of(not_ready) + " is ready";
  if (pods.size() < wanted)
    return "waiting until all core servers have a pod: there are " + std::to_string(pods.size()) + " of " +
           std::to_string(wanted);
  if (!health.answered) return "no core server tells whether the copies are whole: " + health.error;
  if (!health.etcd_reachable) return "waiting until the core servers reach etcd";
  if (!health.servers_away.empty())
    return "waiting until " + some_of(health.servers_away) + " is back: no lease in etcd";
  if (health.unhealthy.empty()) return {};
  std::vector<std::string> names;
  for (const UnhealthyVolume& volume : health.unhealthy) names.push_back(volume.name);
  return "waiting until all copies have caught up: volumes " + some_of(names) +
         (health.unhealthy.front().reasons.empty() ? ""
                                                   : " (" + health.unhealthy.front().reasons.front() + ")");
}

}  // namespace

std::string obstacle_to_any_restart(const std::vector<CoreServerPod>& pods, uint32_t wanted) {
  for (const CoreServerPod& pod : pods) {
    if (pod.ending) return "waiting until pod " + pod.name + " has gone";
    if (pod.settling) return "waiting until " + pod.name + ", which was restarted just now, is ready";
  }
  if (pods.size() >= wanted) return {};
  return "waiting until all have a pod: there are " + std::to_string(pods.size()) + " of " +
         std::to_string(wanted);
}

RolloutStep next_restart(const std::vector<CoreServerSet>& sets, const std::vector<CoreServerPod>& pods,
                         const HealthView& health) {
  RolloutStep step;
  for (const CoreServerSet& set : sets) step.total += set.wanted;
  std::vector<CoreServerPod> old;
  bool one_is_ending = false;
  for (const CoreServerPod& pod : pods) {
    one_is_ending = one_is_ending || pod.ending;
    if (pod.up_to_date) ++step.up_to_date;
    if (!pod.up_to_date && !pod.ending) old.push_back(pod);
  }
  if (old.empty() && !one_is_ending) return step;
  std::sort(old.begin(), old.end(), before);
  const auto idle = std::find_if(old.begin(), old.end(), [](const CoreServerPod& pod) { return !pod.ready; });
  if (idle != old.end()) {
    step.reason = obstacle_to_any_restart(pods, step.total);
    step.kind = step.reason.empty() ? RolloutStep::Kind::kRestart : RolloutStep::Kind::kWait;
    if (step.kind == RolloutStep::Kind::kWait) return step;
    step.pod = idle->name;
    step.reason = server_of(*idle) + " is not ready and runs an old version";
    return step;
  }
  step.reason = obstacle(sets, pods, health);
  step.kind = step.reason.empty() && !old.empty() ? RolloutStep::Kind::kRestart : RolloutStep::Kind::kWait;
  if (step.kind == RolloutStep::Kind::kRestart) {
    step.pod = old.front().name;
    step.reason = server_of(old.front()) + " runs an old version, and all copies are whole";
  }
  return step;
}

}  // namespace shima
