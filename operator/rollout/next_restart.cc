#include "operator/rollout/next_restart.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace shima {
namespace {

// Sites in order of their names, in each the highest ordinal first, as StatefulSets themselves do.
bool before(const CoreServerPod& a, const CoreServerPod& b) {
  return std::tie(a.site, b.ordinal) < std::tie(b.site, a.ordinal);
}

std::string server_of(const CoreServerPod& pod) { return pod.site + "/core-" + std::to_string(pod.ordinal); }

std::string groups(uint64_t count) { return std::to_string(count) + (count == 1 ? " group" : " groups"); }
std::string copies(uint64_t count) { return std::to_string(count) + (count == 1 ? " copy" : " copies"); }

// By the groups of one server, as its site has them.
std::string trouble_at_home(const ServerReplication& of) {
  if (!of.error.empty()) return "does not say how its groups are: " + of.error;
  if (of.not_serving > 0) return "does not serve " + groups(of.not_serving);
  if (of.without_second_copy > 0) return "has " + groups(of.without_second_copy) + " without the second copy";
  return {};
}

std::string trouble_elsewhere(const ServerReplication& of) {
  if (of.remotes_away > 0) return "does not reach " + copies(of.remotes_away) + " at other sites";
  if (of.remotes_not_whole > 0)
    return "has " + copies(of.remotes_not_whole) + " at other sites that are not whole";
  if (of.lag_ms >= kCaughtUpMs && of.lag_bytes >= kCaughtUpBytes)
    return "has a copy at another site that is behind by more than " + std::to_string(kCaughtUpMs / 1000) +
           " s and " + std::to_string(kCaughtUpBytes >> 20) + " MiB";
  return {};
}

// Of all servers: the first one's that has any.
std::string first_trouble(const HealthView& health, std::string (*trouble_of)(const ServerReplication&)) {
  for (const ServerReplication& each : health.replication)
    if (const std::string trouble = trouble_of(each); !trouble.empty())
      return "waiting until all copies have caught up: " + each.server + " " + trouble;
  return {};
}

std::string told_unhealthy(const std::vector<UnhealthyVolume>& unhealthy) {
  if (unhealthy.empty()) return {};
  std::vector<std::string> names;
  for (const UnhealthyVolume& volume : unhealthy) names.push_back(volume.name);
  return "waiting until all copies have caught up: volumes " + some_of(names) +
         (unhealthy.front().reasons.empty() ? "" : " (" + unhealthy.front().reasons.front() + ")");
}

// What forbids it whatever is said of other sites; empty: nothing.
std::string obstacle_at_home(const std::vector<CoreServerSet>& sets, const std::vector<CoreServerPod>& pods,
                             const HealthView& health) {
  uint32_t wanted = 0;
  for (const CoreServerSet& set : sets) wanted += set.wanted;
  std::vector<std::string> not_ready;
  for (const CoreServerPod& pod : pods)
    if (!pod.ready || pod.ending) not_ready.push_back(server_of(pod));
  std::sort(not_ready.begin(), not_ready.end());
  for (const RefusedServer& refused : health.refused)
    if (std::binary_search(not_ready.begin(), not_ready.end(), refused.server))
      return refused.server + " refuses to run: " + refused.reason;
  if (!not_ready.empty()) return "waiting until " + some_of(not_ready) + " is ready";
  if (pods.size() < wanted)
    return "waiting until all core servers have a pod: there are " + std::to_string(pods.size()) + " of " +
           std::to_string(wanted);
  if (!health.answered) return "no core server tells whether the copies are whole: " + health.error;
  if (!health.etcd_reachable) return "waiting until the core servers reach etcd";
  if (!health.servers_away.empty())
    return "waiting until " + some_of(health.servers_away) + " is back: no lease in etcd";
  if (!health.replication_error.empty())
    return "nobody tells how the groups are: " + health.replication_error;
  return first_trouble(health, trouble_at_home);
}

}  // namespace

std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 3;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

RestartObstacle obstacle_to_restart(const std::vector<CoreServerSet>& sets,
                                    const std::vector<CoreServerPod>& pods, const HealthView& health,
                                    bool heed_other_sites) {
  if (const std::string reason = obstacle_at_home(sets, pods, health); !reason.empty()) return {reason};
  const bool all_told =
      !health.replication.empty() && std::all_of(health.replication.begin(), health.replication.end(),
                                                 [](const ServerReplication& each) { return each.told; });
  // The records do not tell the copies of one site from those of another; the servers do.
  if (const std::string reason = told_unhealthy(health.unhealthy);
      !reason.empty() && (heed_other_sites || !all_told))
    return {reason, all_told};
  const std::string reason = heed_other_sites ? first_trouble(health, trouble_elsewhere) : "";
  return {reason, !reason.empty()};
}

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
                         const HealthView& health, bool heed_other_sites) {
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
  RestartObstacle obstacle = obstacle_to_restart(sets, pods, health, heed_other_sites);
  step.reason = std::move(obstacle.reason);
  step.waits_for_other_sites = obstacle.at_other_sites;
  step.kind = step.reason.empty() && !old.empty() ? RolloutStep::Kind::kRestart : RolloutStep::Kind::kWait;
  if (step.kind == RolloutStep::Kind::kRestart) {
    step.pod = old.front().name;
    step.reason = server_of(old.front()) + " runs an old version, and all copies are whole";
  }
  return step;
}

}  // namespace shima
