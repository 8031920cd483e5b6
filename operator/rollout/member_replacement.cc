#include "operator/rollout/member_replacement.h"

#include <algorithm>

namespace shima {
namespace {

using Phase = MemberMark::Phase;
using Kind = ReplacementStep::Kind;

bool is_under_way(const MemberMark& mark) {
  return mark.phase == Phase::kLeaving || mark.phase == Phase::kAdding;
}

// It may not start as it is, and a new claim says that its disk is not coming back.
bool is_to_be_replaced(const EtcdBegun& begun, const MemberView& member) {
  if (member.ready || member.claim.empty()) return false;
  const MemberMark mark = begun.of(member.name);
  if (mark.phase == Phase::kNever) return begun.existing && member.claim_is_new;
  return is_under_way(mark) || mark.claim != member.claim;
}

// The one that is under way, or the first.
const MemberView* choose(const EtcdBegun& begun, const std::vector<MemberView>& members) {
  const MemberView* chosen = nullptr;
  for (const MemberView& member : members) {
    if (!is_to_be_replaced(begun, member)) continue;
    if (!chosen || (is_under_way(begun.of(member.name)) && !is_under_way(begun.of(chosen->name))))
      chosen = &member;
  }
  return chosen;
}

std::string obstacle(const EtcdBegun& begun, const std::vector<MemberView>& members,
                     const MemberView& chosen) {
  if (chosen.runs) return "its pod still runs and may answer the others: delete the pod";
  for (const MemberView& other : members) {
    const MemberMark mark = begun.of(other.name);
    const bool joins = mark.phase == Phase::kJoining && mark.claim == other.claim && !other.ready;
    if (other.name != chosen.name && (joins || is_under_way(mark)))
      return "one at a time: " + other.name + " has not joined yet";
  }
  const auto ready = static_cast<size_t>(
      std::count_if(members.begin(), members.end(), [](const MemberView& m) { return m.ready; }));
  if (ready * 2 > members.size()) return {};
  return std::to_string(ready) + " of " + std::to_string(members.size()) +
         " members are ready, wanted more than half of all; bring others back first";
}

// kubernetes.io/pvc-protection keeps a claim while its pod is there, which of a host that is off is for ever.
ReplacementStep wait_for_pods(const std::vector<MemberView>& members) {
  for (const MemberView& member : members)
    if (member.claim_is_ending && !member.ready)
      return {.kind = Kind::kWait,
              .member = member.name,
              .reason = "its claim waits for its pod: delete the pod, by `kubectl delete pod " + member.name +
                        " --force` if its host is off for good"};
  return {};
}

bool has_url(const EtcdMember& member, const std::string& url) {
  return std::find(member.peer_urls.begin(), member.peer_urls.end(), url) != member.peer_urls.end();
}

}  // namespace

EtcdBegun with_ready_members(EtcdBegun begun, const std::vector<MemberView>& members) {
  bool all = !members.empty();
  for (const MemberView& member : members) {
    MemberMark& mark = begun.members[member.name];
    if (member.ready && !member.claim.empty()) mark = {Phase::kBegun, member.claim};
    all = all && mark.phase == Phase::kBegun;
    if (mark.phase == Phase::kNever) begun.members.erase(member.name);
  }
  begun.existing = begun.existing || all;
  return begun;
}

ReplacementStep next_replacement(const EtcdBegun& begun, const std::vector<MemberView>& members) {
  const MemberView* chosen = choose(begun, members);
  if (!chosen) return wait_for_pods(members);
  ReplacementStep step{.kind = Kind::kWait, .member = chosen->name};
  step.reason = obstacle(begun, members, *chosen);
  if (!step.reason.empty()) return step;
  const MemberMark mark = begun.of(chosen->name);
  step.mark = {Phase::kLeaving, chosen->claim};
  const bool goes_on = is_under_way(mark) && mark.claim == chosen->claim;
  step.kind = goes_on ? Kind::kList : Kind::kMark;
  if (goes_on) step.mark = mark;
  return step;
}

ListStep step_by_list(const MemberMark& mark, const MemberView& member, const std::vector<EtcdMember>& list) {
  const EtcdMember* there = nullptr;
  for (const EtcdMember& each : list)
    if (each.name == member.name || has_url(each, member.peer_url)) there = &each;
  if (mark.phase == Phase::kLeaving && there) return {.kind = ListStep::Kind::kRemove, .id = there->id};
  if (mark.phase == Phase::kLeaving) return {.mark = {Phase::kAdding, mark.claim}};
  if (!there) return {.kind = ListStep::Kind::kAdd};
  // One that has started is not the one that was added here.
  return {.mark = {there->name.empty() ? Phase::kJoining : Phase::kLeaving, mark.claim}};
}

}  // namespace shima
