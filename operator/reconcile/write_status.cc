#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kStatusKey[] = "status";

// So that the ledger, which leaves statuses out of account, compares this one.
json as_content(const json& object) {
  return {{"metadata", {{"resourceVersion", text_at(object, "/metadata/resourceVersion")}}},
          {"content", object.value("status", json())}};
}

}  // namespace

void write_status(ClusterPass& pass) {
  ClusterState& state = pass.state;
  // The watch may not have shown yet what was written last.
  const bool answer_is_newer =
      state.status_answer.is_object() && version_of(state.status_answer) > version_of(*pass.object);
  const json before = answer_is_newer ? state.status_answer : *pass.object;
  pass.status.previous = before.value("status", json());
  const json wanted = cluster_status(pass.status);
  const json found = as_content(before);
  const ApplyReason reason = state.ledger.due(kStatusKey, wanted, &found, true, pass.now_ms);
  if (reason == ApplyReason::kNothing) return;
  if (reason == ApplyReason::kNew && wanted == pass.status.previous)  // by whoever led before
    return state.ledger.applied(kStatusKey, wanted, found, reason, pass.now_ms);
  log(LogLevel::kDebug, "operator",
      "status of " + told_object(before) + ": " +
          json::diff(pass.status.previous, wanted).dump(-1, ' ', false, json::error_handler_t::replace));
  json object{{"apiVersion", shima_cluster_kind().api_version},
              {"kind", shima_cluster_kind().kind},
              {"metadata", {{"name", pass.identity.name}, {"namespace", pass.identity.name_space}}},
              {"status", wanted}};
  const auto answer = pass.calls.apply_status(shima_cluster_kind(), object);
  if (!answer) {
    log(LogLevel::kWarning, "operator", told_object(object) + ": status: " + answer.status().to_string());
    // Nobody is told then, so that the look counts as one that failed.
    if (answer.status().code() == Code::kUnavailable || answer.status().code() == Code::kInternal)
      pass.api_is_away = true;
    pass.look_again_after(5'000);
    return;
  }
  state.ledger.applied(kStatusKey, wanted, as_content(*answer), reason, pass.now_ms);
  state.status_answer = *answer;
  for (ClusterEvent& event : events_of_change(pass.status.previous, wanted))
    pass.events.push_back(std::move(event));
}

void write_events(ClusterPass& pass, const EventSource& source) {
  for (const ClusterEvent& event : pass.events) {
    if (pass.api_is_away || !pass.state.events.allow(event, pass.now_ms)) continue;
    const auto made = pass.calls.create(event_kind(), event_object(pass.identity, event, source));
    if (!made && made.status().code() != Code::kAlreadyExists)
      log(LogLevel::kWarning, "operator", "event " + event.reason + ": " + made.status().to_string());
  }
}

}  // namespace shima
