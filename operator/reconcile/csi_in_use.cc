// The CSI driver that nobody asks for any more stays while volumes are attached.
#include <algorithm>

#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kDriver[] = "shima.io";
constexpr uint64_t kAskAgainMs = 60'000;  // there may be tens of thousands of VolumeAttachments
constexpr char kWhatToDo[] =
    "spec.csi.enabled is false, but the CSI driver stays, since without it mounts would end: ";

bool has_mounters(const ClusterPass& pass) {
  return std::any_of(
      pass.found.daemon_sets.begin(), pass.found.daemon_sets.end(),
      [](const ObjectPointer& set) { return label_of(*set, kComponentLabel) == kCsiMounterComponent; });
}

std::string ask(ClusterPass& pass) {
  const auto listed = pass.calls.list(volume_attachment_kind());
  if (!listed) {
    pass.failed({{"kind", volume_attachment_kind().kind}}, "list", listed.status());
    return std::string(kWhatToDo) + "nobody tells which volumes are attached (" + listed.status().message() +
           ")";
  }
  const auto attached = std::count_if(listed->begin(), listed->end(), [](const json& each) {
    return text_at(each, "/spec/attacher") == kDriver;
  });
  if (attached == 0) return {};
  return std::string(kWhatToDo) + std::to_string(attached) +
         " volumes are attached (kubectl get volumeattachments); end the pods that use them";
}

}  // namespace

std::string csi_in_use(ClusterPass& pass, const ShimaClusterSpec& spec) {
  ClusterState::CsiUse& use = pass.state.csi_use;
  if (spec.csi.enabled || !has_mounters(pass)) {
    use = {};
    return {};
  }
  if (use.asked_ms == 0 || use.why.empty() || pass.now_ms >= use.asked_ms + kAskAgainMs)
    use = {ask(pass), pass.now_ms};
  if (!use.why.empty()) pass.look_again_after(use.asked_ms + kAskAgainMs - pass.now_ms);
  return use.why;
}

}  // namespace shima
