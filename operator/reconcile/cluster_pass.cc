#include "operator/reconcile/cluster_pass.h"

#include <algorithm>

#include "operator/reconcile/resource_kinds.h"

namespace shima {

void ClusterPass::failed(const nlohmann::json& what, const std::string& action, const Status& why) {
  std::string text = told_object(what) + ": " + action + ": " + why.message();
  if (why.code() == Code::kPermissionDenied)
    text += "; give the operator's ServiceAccount this right (charts/shima-operator has all it needs)";
  status.apply_errors.push_back(std::move(text));
  if (why.code() == Code::kUnavailable || why.code() == Code::kDeadlineExceeded) api_is_away = true;
}

void ClusterPass::look_again_after(uint64_t delay_ms) {
  again_after_ms = again_after_ms == 0 ? delay_ms : std::min(again_after_ms, delay_ms);
}

}  // namespace shima
