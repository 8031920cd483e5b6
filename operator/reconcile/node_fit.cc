#include "operator/reconcile/node_fit.h"

#include <algorithm>

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kCordonTaint[] = "node.kubernetes.io/unschedulable";

const json& list_at(const json& object, const std::string& pointer) {
  static const json none = json::array();
  const json* found = value_at(object, pointer);
  return found && found->is_array() ? *found : none;
}

// As k8s.io/api/core/v1 Toleration.ToleratesTaint has it.
bool tolerates(const json& toleration, const NodeTaint& taint) {
  const std::string effect = text_at(toleration, "/effect"), key = text_at(toleration, "/key");
  const std::string how = text_at(toleration, "/operator");
  if (!effect.empty() && effect != taint.effect) return false;
  if (!key.empty() && key != taint.key) return false;
  return how == "Exists" || ((how.empty() || how == "Equal") && text_at(toleration, "/value") == taint.value);
}

bool keeps_away(const NodeTaint& taint, const json& pod_spec) {
  if (taint.effect != "NoSchedule" && taint.effect != "NoExecute") return false;
  const json& tolerations = list_at(pod_spec, "/tolerations");
  return std::none_of(tolerations.begin(), tolerations.end(),
                      [&](const json& each) { return tolerates(each, taint); });
}

std::string told(const NodeTaint& taint) {
  return taint.key + (taint.value.empty() ? "" : "=" + taint.value) + ":" + taint.effect;
}

bool has_label(const NodeView& node, const std::string& key, const std::string& value) {
  const auto found = node.labels.find(key);
  return found != node.labels.end() && found->second == value;
}

bool fits_term(const json& term, const NodeView& node) {
  const json& expressions = list_at(term, "/matchExpressions");
  if (!list_at(term, "/matchFields").empty() || expressions.empty()) return false;
  return std::all_of(expressions.begin(), expressions.end(), [&](const json& each) {
    const json& values = list_at(each, "/values");
    return text_at(each, "/operator") == "In" &&
           std::any_of(values.begin(), values.end(), [&](const json& v) {
             return v.is_string() && has_label(node, text_at(each, "/key"), v);
           });
  });
}

}  // namespace

std::string misfit(const NodeView& node, const json& pod_spec) {
  if (node.unschedulable && keeps_away({kCordonTaint, "", "NoSchedule"}, pod_spec))
    return "it is cordoned; uncordon it";
  for (const auto& [key, value] : texts_at(pod_spec, "/nodeSelector"))
    if (!has_label(node, key, value)) return "it lacks the label " + key + "=" + value + "; put it back";
  for (const NodeTaint& taint : node.taints)
    if (keeps_away(taint, pod_spec))
      return "it has the taint " + told(taint) +
             "; take it away, or tolerate it in spec.coreServers.tolerations";
  return {};
}

bool is_usable_on(const json& persistent_volume, const NodeView& node) {
  if (!value_at(persistent_volume, "/spec/nodeAffinity/required")) return true;
  const json& terms = list_at(persistent_volume, "/spec/nodeAffinity/required/nodeSelectorTerms");
  return std::any_of(terms.begin(), terms.end(), [&](const json& each) { return fits_term(each, node); });
}

}  // namespace shima
