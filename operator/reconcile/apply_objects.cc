#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

void apply_one(ClusterPass& pass, const ResourceKind& kind, const json& wanted) {
  ApplyLedger& ledger = pass.state.ledger;
  const std::string key = kind_key(kind) + "|" + key_of(wanted);
  const bool watched = pass.view.watched(kind) && pass.view.trouble(kind);
  const ObjectPointer found = watched ? pass.view.get(kind, key_of(wanted)) : nullptr;
  const ApplyReason reason = ledger.due(key, wanted, found.get(), watched, pass.now_ms);
  if (reason == ApplyReason::kNothing) {
    if (const std::string error = ledger.error_of(key); !error.empty())
      pass.status.apply_errors.push_back(error);
    return;
  }
  if (pass.api_is_away) return;
  log(reason == ApplyReason::kRenewal ? LogLevel::kDebug : LogLevel::kInfo, "operator",
      "apply " + told_object(wanted) + ": " + apply_reason_text(reason));
  const json contested = contested_object(pass, key, reason, kind, key_of(wanted));
  const auto answer = apply_with_address(pass, kind, wanted);
  if (answer) {
    // Fields that are not ours may change as often as their owners want.
    if (contested.is_object() && written_hash(*answer) != written_hash(contested))
      pass.state.contests.note(key, told_object(wanted), contested);
    return ledger.applied(key, wanted, *answer, reason, pass.now_ms);
  }
  pass.failed(wanted, "apply", answer.status());
  log(LogLevel::kWarning, "operator", pass.status.apply_errors.back());
  if (!pass.api_is_away) ledger.refused(key, wanted, pass.status.apply_errors.back(), pass.now_ms);
}

}  // namespace

void apply_objects(ClusterPass& pass) {
  for (const json& wanted : pass.desired.objects) {
    const ResourceKind* kind = kind_of(wanted);
    if (!kind) {
      pass.status.apply_errors.push_back(told_object(wanted) +
                                         ": its kind is not one that the operator can apply");
    } else {
      apply_one(pass, *kind, wanted);
    }
  }
  label_nodes(pass, pass.desired.node_patches);
  pass.status.contested = pass.state.contests.told(pass.state.ledger, pass.now_ms);
  const uint64_t retry = pass.state.ledger.next_retry_ms();
  if (retry != 0) pass.look_again_after(retry > pass.now_ms ? retry - pass.now_ms : 1'000);
}

}  // namespace shima
