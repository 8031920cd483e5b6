#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr size_t kMaxLabels = 100;  // written in a look: a thousand nodes may come at once
constexpr uint64_t kNextLabelsMs = 500;
constexpr uint64_t kLabelsSettleMs = 10'000;  // until Kubernetes' controllers have seen them

std::string ledger_key(const std::string& node) { return "node label|" + node; }

// So that the ledger, which looks at all that was written, sees nothing but the label.
json as_content(const json& node) {
  return {{"metadata", {{"resourceVersion", text_at(node, "/metadata/resourceVersion")}}},
          {"label", label_of(node, kOwnSiteLabel)}};
}

json node_called(const std::string& name) { return {{"kind", "Node"}, {"metadata", {{"name", name}}}}; }

// False: nobody may write any node.
bool write_label(ClusterPass& pass, const std::string& name, const json& patch, ApplyReason reason) {
  log(LogLevel::kInfo, "operator", "label node " + name + ": " + patch.dump());
  if (const json before = contested_object(pass, ledger_key(name), reason, node_kind(), name);
      before.is_object())
    pass.state.contests.note(ledger_key(name), "the label " + std::string(kOwnSiteLabel) + " of node " + name,
                             before);
  const auto answer = pass.calls.merge_patch(node_kind(), {}, name, patch);
  if (answer) {
    pass.state.ledger.applied(ledger_key(name), patch, as_content(*answer), reason, pass.now_ms);
  } else if (answer.status().code() != Code::kNotFound) {
    pass.failed(node_called(name), "label", answer.status());
    if (!pass.api_is_away)
      pass.state.ledger.refused(ledger_key(name), patch, pass.status.apply_errors.back(), pass.now_ms);
  }
  return answer.status().code() != Code::kPermissionDenied && answer.status().code() != Code::kInternal;
}

// Whether it is to be written now: what others take away again and again is put back later and later.
ApplyReason due(ClusterPass& pass, const std::string& name, const json& patch) {
  const ObjectPointer node = pass.view.get(node_kind(), object_key({}, name));
  const json content = node ? as_content(*node) : json();
  return pass.state.ledger.due(ledger_key(name), patch, node ? &content : nullptr, /*watched=*/true,
                               pass.now_ms);
}

// Of nodes that are gone, and what was refused where nothing is wanted any more.
void forget_done(ClusterPass& pass, const std::map<std::string, json>& patches) {
  std::set<std::string>& labelled = pass.state.labelled;
  std::set<std::string> there;
  for (const NodeView& node : pass.nodes) there.insert(node.name);
  std::erase_if(labelled, [&](const std::string& name) {
    const std::string key = ledger_key(name);
    const bool done =
        !there.contains(name) || (!patches.contains(name) && !pass.state.ledger.error_of(key).empty());
    if (done) pass.state.ledger.forget(key);
    return done;
  });
}

void note_whether_settled(ClusterPass& pass, bool all_right) {
  ClusterState& state = pass.state;
  if (!all_right || !pass.view.trouble(node_kind())) {
    state.labels_right_since_ms = 0;
  } else if (state.labels_right_since_ms == 0) {
    state.labels_right_since_ms = pass.now_ms;
  }
}

}  // namespace

bool labels_have_settled(const ClusterPass& pass) {
  const uint64_t since = pass.state.labels_right_since_ms;
  return since != 0 && pass.now_ms >= since + kLabelsSettleMs;
}

bool label_nodes(ClusterPass& pass, const std::map<std::string, json>& patches) {
  size_t written = 0, left = 0;
  forget_done(pass, patches);
  for (const auto& [name, patch] : patches) {
    // The label of another cluster's node is that one's.
    if (pass.nodes_of_others.contains(name)) continue;
    ++left;
    const ApplyReason reason = due(pass, name, patch);
    if (reason == ApplyReason::kNothing) {
      const std::string error = pass.state.ledger.error_of(ledger_key(name));
      if (!error.empty()) pass.status.apply_errors.push_back(error);
      continue;
    }
    if (written == kMaxLabels) pass.look_again_after(kNextLabelsMs);
    if (pass.api_is_away || written == kMaxLabels) break;
    ++written;
    pass.state.labelled.insert(name);
    if (!write_label(pass, name, patch, reason)) break;  // as for all the others
  }
  note_whether_settled(pass, left == 0);
  return left == 0;
}

}  // namespace shima
