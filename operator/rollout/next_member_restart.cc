#include "operator/rollout/next_member_restart.h"

#include <algorithm>

namespace shima {
namespace {

// Members of etcd; those of removed sites only by number.
struct Members {
  std::vector<CoreServerPod> pods;
  uint32_t wanted = 0;
  uint32_t of_removed_sites = 0;
  uint32_t ready_of_removed_sites = 0;
  std::string removed_site;  // the first that has one

  uint32_t all() const { return wanted + of_removed_sites; }
};

Members members_of(const std::vector<CoreServerSet>& sets, const std::vector<CoreServerPod>& pods,
                   const std::set<std::string>& removed_sites) {
  Members members;
  for (const CoreServerSet& set : sets) {
    const bool removed = removed_sites.contains(set.site);
    (removed ? members.of_removed_sites : members.wanted) += set.wanted;
    if (removed && members.removed_site.empty()) members.removed_site = set.site;
  }
  for (const CoreServerPod& pod : pods) {
    if (!removed_sites.contains(pod.site)) members.pods.push_back(pod);
    if (removed_sites.contains(pod.site) && pod.ready && !pod.ending) ++members.ready_of_removed_sites;
  }
  return members;
}

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

// Where all others are ready: why etcd needs each of them; empty: it does not.
std::string obstacle_by_majority(const Members& members, const CoreServerPod& next) {
  const uint32_t ready = members.wanted + members.ready_of_removed_sites;
  if (ready == members.all() || (ready - 1) * 2 > members.all()) return {};
  return next.name + " keeps its old version: a member at removed site " + members.removed_site +
         " is away, and etcd needs all others; delete the pod yourself when etcd may be away until it is back"
         " (docs/howto/kubernetes.md)";
}

}  // namespace

RolloutStep next_member_restart(const std::vector<CoreServerSet>& sets,
                                const std::vector<CoreServerPod>& pods,
                                const std::set<std::string>& removed_sites) {
  const Members members = members_of(sets, pods, removed_sites);
  RolloutStep step;
  step.total = members.wanted;
  const CoreServerPod* next = nullptr;
  bool one_is_ending = false;
  for (const CoreServerPod& pod : members.pods) {
    one_is_ending = one_is_ending || pod.ending;
    if (pod.up_to_date) ++step.up_to_date;
    if (!pod.up_to_date && !pod.ending && (!next || before(pod, *next))) next = &pod;
  }
  if (!next && !one_is_ending) return step;
  const bool serves = !next || next->ready;
  step.reason = one_is_ending || serves ? obstacle(members.pods, members.wanted)
                                        : obstacle_to_any_restart(members.pods, members.wanted);
  if (step.reason.empty() && serves) {
    step.reason = obstacle_by_majority(members, *next);
    step.core_servers_go_on = !step.reason.empty();
  }
  step.kind = step.reason.empty() ? RolloutStep::Kind::kRestart : RolloutStep::Kind::kWait;
  if (step.kind == RolloutStep::Kind::kWait) return step;
  step.pod = next->name;
  step.reason = next->name + " runs an old version, and " +
                (serves ? "all members of etcd are ready" : "is not ready anyway");
  return step;
}

}  // namespace shima
