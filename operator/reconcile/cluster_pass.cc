#include "operator/reconcile/cluster_pass.h"

#include <algorithm>

#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// After `words` of an API server that has answered 401 or 403: the latter is also the answer of a quota, an
// admission policy and a namespace that ends.
std::string advice(const std::string& words) {
  const bool names_a_right = (has(words, "User \"") && has(words, "\" cannot ")) ||
                             has(words, "is attempting to grant RBAC permissions not currently held");
  if (names_a_right)
    return "; give the operator's ServiceAccount this right (charts/shima-operator has all it needs)";
  if (has(words, "the API server answered 401 ")) return "; it does not accept the operator's token";
  return "; these words name no right that is missing: look for what else refuses it, as a quota, an "
         "admission policy, or a namespace that is being deleted";
}

}  // namespace

void ClusterPass::failed(const nlohmann::json& what, const std::string& action, const Status& why) {
  std::string text = told_object(what) + ": " + action + ": " + why.message();
  if (why.code() == Code::kPermissionDenied) text += advice(why.message());
  status.apply_errors.push_back(std::move(text));
  if (why.code() == Code::kUnavailable || why.code() == Code::kDeadlineExceeded) api_is_away = true;
}

nlohmann::json contested_object(ClusterPass& pass, const std::string& key, ApplyReason reason,
                                const ResourceKind& kind, const std::string& object_key) {
  const bool is_contested =
      reason == ApplyReason::kFoundChanged && pass.state.ledger.times_put_back(key, pass.now_ms) > 0;
  if (!is_contested) return {};
  // Watches leave out who wrote what, which is most of an object.
  const auto [name_space, name] = split_object_key(object_key);
  auto object = pass.calls.get(kind, name_space, name);
  return object ? std::move(object).value() : nlohmann::json();
}

void ClusterPass::look_again_after(uint64_t delay_ms) {
  again_after_ms = again_after_ms == 0 ? delay_ms : std::min(again_after_ms, delay_ms);
}

}  // namespace shima
