#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {

void label_nodes(ClusterPass& pass, const std::map<std::string, nlohmann::json>& patches) {
  for (const auto& [name, patch] : patches) {
    // The label of another cluster's node is that one's.
    if (pass.api_is_away || pass.nodes_of_others.contains(name)) continue;
    log(LogLevel::kInfo, "operator", "label node " + name + ": " + patch.dump());
    const auto answer = pass.calls.merge_patch(node_kind(), {}, name, patch);
    if (answer || answer.status().code() == Code::kNotFound) continue;
    pass.failed({{"kind", "Node"}, {"metadata", {{"name", name}}}}, "label", answer.status());
    if (answer.status().code() == Code::kPermissionDenied) return;  // as for all the others
  }
}

}  // namespace shima
