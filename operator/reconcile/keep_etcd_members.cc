// etcd's members: who has begun is noted in ConfigMap shima-etcd-begun, and one whose claim is a new one is
// replaced (operator/rollout/member_replacement.h), a step a look.
#include "operator/desired/cluster_plan.h"
#include "operator/desired/etcd_begun.h"
#include "operator/desired/names.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/rollout/member_replacement.h"

namespace shima {
namespace {

using nlohmann::json;
using Phase = MemberMark::Phase;

constexpr uint64_t kNextStepMs = 1'000, kWaitMs = 10'000;
constexpr uint64_t kSlowJoinMs = 600'000;  // so long a member may take to become Ready once it was added

json record_pointer(const ClusterPass& pass) {
  return {{"kind", "ConfigMap"},
          {"metadata", {{"namespace", pass.identity.name_space}, {"name", kEtcdBegunName}}}};
}

// kNotFound: there is none. What else is wrong is noted.
Result<json> read_claim(ClusterPass& pass, const std::string& member) {
  auto claim = pass.calls.get(claim_kind(), pass.identity.name_space, "data-" + member);
  if (!claim && claim.status().code() != Code::kNotFound)
    pass.failed({{"kind", "PersistentVolumeClaim"},
                 {"metadata", {{"namespace", pass.identity.name_space}, {"name", "data-" + member}}}},
                "read", claim.status());
  return claim;
}

// RFC 3339 in UTC and whole seconds, whose texts are in the order of the times. What is of the same second as
// the record was made after it: marks of what was there before are written with it.
bool is_newer(const json& claim, const json& record) {
  const std::string made = text_at(claim, "/metadata/creationTimestamp"),
                    noted = text_at(record, "/metadata/creationTimestamp");
  return !made.empty() && !noted.empty() && made >= noted;
}

// Of a Ready pod the claim is asked for once: one that is in use does not go.
void look_at_claim(ClusterPass& pass, const json& record, const json* pod, MemberView& view) {
  const std::string pod_uid = pod ? text_at(*pod, "/metadata/uid") : "";
  auto& known = pass.state.claims_of_ready_pods;
  if (view.ready && known.contains(pod_uid)) {
    view.claim = known[pod_uid];
    return;
  }
  if (pass.api_is_away) return;
  const auto claim = read_claim(pass, view.name);
  if (!claim && claim.status().code() != Code::kNotFound) return;
  if (claim) {
    view.claim_is_ending = is_ending(*claim);
    view.claim_is_new = is_newer(*claim, record);
    if (!view.claim_is_ending) view.claim = text_at(*claim, "/metadata/uid");
  }
  if (view.ready) known[pod_uid] = view.claim;
}

MemberView view_of(ClusterPass& pass, const json& record, const EtcdBegun& begun, const std::string& set,
                   uint32_t ordinal) {
  MemberView view{.name = set + "-" + std::to_string(ordinal)};
  const std::string address = pod_address(set, ordinal, pass.identity.name_space);
  view.peer_url = etcd_peer_url(address);
  view.client = address + ":" + std::to_string(kEtcdClientPort);
  const json* pod = nullptr;
  for (const ObjectPointer& each : pass.found.pods)
    if (name_of(*each) == view.name) pod = each.get();
  view.ready = pod && has_true_condition(*pod, "Ready") && !is_ending(*pod);
  view.runs = pod && text_at(*pod, "/status/phase") == "Running";
  const bool may_begin = !begun.existing && begun.of(view.name).phase == Phase::kNever;
  if (view.ready || !may_begin) look_at_claim(pass, record, pod, view);
  return view;
}

std::vector<MemberView> all_views(ClusterPass& pass, const json& record, const EtcdBegun& begun,
                                  const EtcdMembers& members) {
  std::vector<MemberView> views;
  for (const auto& [site, count] : members)
    for (uint32_t i = 0; i < count; ++i) views.push_back(view_of(pass, record, begun, etcd_name(site), i));
  return views;
}

// Of a cluster that was used, members have begun on the claims that are there: none of them may begin anew,
// nor is one replaced because its pod happens to restart now. False: a claim could not be read.
bool note_claims(ClusterPass& pass, const EtcdMembers& members, EtcdBegun& begun) {
  for (const auto& [site, count] : members) {
    for (uint32_t i = 0; i < count; ++i) {
      const std::string member = etcd_name(site) + "-" + std::to_string(i);
      const auto claim = read_claim(pass, member);
      if (!claim && claim.status().code() != Code::kNotFound) return false;
      if (claim) begun.members[member] = {Phase::kBegun, text_at(*claim, "/metadata/uid")};
    }
  }
  return true;
}

void make_record(ClusterPass& pass, const EtcdMembers& members) {
  if (pass.api_is_away) return;
  pass.look_again_after(kNextStepMs);
  EtcdBegun begun{.existing = was_used(pass)};
  if (begun.existing && !note_claims(pass, members, begun)) return;
  const json record = etcd_begun_object(pass.identity, begun);
  const auto made = pass.calls.create(config_map_kind(), record);
  if (!made && made.status().code() != Code::kAlreadyExists) pass.failed(record, "create", made.status());
}

// Only on what was read: two operators never mix their steps.
bool write(ClusterPass& pass, const json& read, const EtcdBegun& begun) {
  const json patch = {{"metadata", {{"resourceVersion", text_at(read, "/metadata/resourceVersion")}}},
                      {"data", etcd_begun_object(pass.identity, begun)["data"]}};
  const auto written =
      pass.calls.merge_patch(config_map_kind(), pass.identity.name_space, kEtcdBegunName, patch);
  pass.look_again_after(kNextStepMs);
  if (!written && written.status().code() != Code::kConflict) pass.failed(read, "patch", written.status());
  return written.is_ok();
}

void tell(ClusterPass& pass, bool warning, const std::string& note) {
  if (!warning) log(LogLevel::kInfo, "operator", note);
  pass.events.push_back({.warning = warning,
                         .reason = warning ? "EtcdMemberNotReplaced" : "EtcdMemberReplaced",
                         .action = "ReplaceMember",
                         .note = note});
}

void mark(ClusterPass& pass, const json& read, EtcdBegun begun, const std::string& member,
          const MemberMark& mark) {
  begun.members[member] = mark;
  begun.existing = begun.existing || mark.phase == Phase::kJoining;
  if (!write(pass, read, begun)) return;
  if (mark.phase == Phase::kLeaving)
    tell(pass, false, "member " + member + " of etcd is replaced: its claim is a new one");
  if (mark.phase == Phase::kJoining)
    tell(pass, false, "member " + member + " of etcd was added anew and may start empty");
}

void act_on_list(ClusterPass& pass, const json& read, const EtcdBegun& begun, const MemberView& member,
                 const std::vector<MemberView>& all) {
  std::vector<std::string> endpoints;
  for (const MemberView& each : all)
    if (each.ready) endpoints.push_back(each.client);
  auto etcd = pass.connect_etcd(endpoints);
  if (!etcd) return tell(pass, true, "member " + member.name + " of etcd: " + etcd.status().message());
  const auto list = (*etcd)->list();
  if (!list) return tell(pass, true, "member " + member.name + " of etcd: " + list.status().message());
  const ListStep step = step_by_list(begun.of(member.name), member, *list);
  if (step.kind == ListStep::Kind::kMark) return mark(pass, read, begun, member.name, step.mark);
  const Status done = step.kind == ListStep::Kind::kRemove ? (*etcd)->remove(step.id)
                                                           : (*etcd)->add(member.peer_url).status();
  if (!done) tell(pass, true, "member " + member.name + " of etcd is not replaced yet: " + done.message());
}

// With the record as the API server has it now: a watch may be a step behind.
void act(ClusterPass& pass, const std::vector<MemberView>& views) {
  const auto read = pass.calls.get(config_map_kind(), pass.identity.name_space, kEtcdBegunName);
  if (!read) return pass.failed(record_pointer(pass), "read", read.status());
  const auto begun = read_etcd_begun(*read);
  if (!begun) return pass.failed(record_pointer(pass), "read", begun.status());
  const EtcdBegun noted = with_ready_members(*begun, views);
  if (noted != *begun) {
    write(pass, *read, noted);
    return;
  }
  const ReplacementStep step = next_replacement(noted, views);
  if (step.kind == ReplacementStep::Kind::kNothing) return;
  pass.look_again_after(step.kind == ReplacementStep::Kind::kWait ? kWaitMs : kNextStepMs);
  if (step.kind == ReplacementStep::Kind::kWait)
    return tell(pass, true, "member " + step.member + " of etcd is not replaced yet: " + step.reason);
  if (step.kind == ReplacementStep::Kind::kMark) return mark(pass, *read, noted, step.member, step.mark);
  for (const MemberView& view : views)
    if (view.name == step.member) act_on_list(pass, *read, noted, view, views);
}

// One that was added and does not become Ready waits for a person: etcd waits for it, too.
void tell_slow_joins(ClusterPass& pass, const EtcdBegun& begun, const std::vector<MemberView>& views) {
  auto& since = pass.state.joining_since_ms;
  for (const MemberView& view : views) {
    if (view.ready || begun.of(view.name).phase != Phase::kJoining) {
      since.erase(view.name);
      continue;
    }
    if (pass.now_ms >= since.try_emplace(view.name, pass.now_ms).first->second + kSlowJoinMs)
      tell(pass, true,
           "member " + view.name +
               " of etcd was added anew more than 10 minutes ago and is not Ready: `kubectl describe pod " +
               view.name + "` says why. If its directory has data of before, wipe it, and delete the pod");
  }
}

}  // namespace

void keep_etcd_members(ClusterPass& pass, const EtcdMembers& members) {
  if (members.empty()) return;
  const auto record = find_record(pass, kEtcdBegunName);
  if (record.status().code() == Code::kNotFound) return make_record(pass, members);
  if (!record) return pass.failed(record_pointer(pass), "read", record.status());
  const auto begun = read_etcd_begun(*record);
  if (!begun) {
    pass.status.refused.push_back(begun.status().message());
    return;
  }
  pass.etcd_begun = *begun;
  const auto views = all_views(pass, *record, *begun, members);
  tell_slow_joins(pass, *begun, views);
  const bool at_rest = with_ready_members(*begun, views) == *begun &&
                       next_replacement(*begun, views).kind == ReplacementStep::Kind::kNothing;
  if (!at_rest && !pass.api_is_away) act(pass, views);
}

}  // namespace shima
