#include "operator/rollout/next_member_restart.h"

#include <algorithm>

namespace shima {
namespace {

bool before(const CoreServerPod& a, const CoreServerPod& b) {
  if (a.ready != b.ready) return !a.ready;
  return a.name < b.name;
}

// What forbids to take a member that serves now away; empty: nothing.
std::string obstacle(const std::vector<CoreServerPod>& pods, uint32_t wanted) {
  for (const CoreServerPod& pod : pods)
    if (!pod.ready || pod.ending) return "waiting until " + pod.name + " is ready";
  if (pods.size() < wanted)
    return "waiting until all members of etcd have a pod: there are " + std::to_string(pods.size()) + " of " +
           std::to_string(wanted);
  return {};
}

}  // namespace

RolloutStep next_member_restart(const std::vector<CoreServerSet>& sets,
                                const std::vector<CoreServerPod>& pods) {
  RolloutStep step;
  for (const CoreServerSet& set : sets) step.total += set.wanted;
  const CoreServerPod* next = nullptr;
  bool one_is_ending = false;
  for (const CoreServerPod& pod : pods) {
    one_is_ending = one_is_ending || pod.ending;
    if (pod.up_to_date) ++step.up_to_date;
    if (!pod.up_to_date && !pod.ending && (!next || before(pod, *next))) next = &pod;
  }
  if (!next && !one_is_ending) return step;
  const bool serves = !next || next->ready;
  step.reason =
      one_is_ending || serves ? obstacle(pods, step.total) : obstacle_to_any_restart(pods, step.total);
  step.kind = step.reason.empty() ? RolloutStep::Kind::kRestart : RolloutStep::Kind::kWait;
  if (step.kind == RolloutStep::Kind::kWait) return step;
  step.pod = next->name;
  step.reason = next->name + " runs an old version, and " +
                (serves ? "all members of etcd are ready" : "is not ready anyway");
  return step;
}

}  // namespace shima
