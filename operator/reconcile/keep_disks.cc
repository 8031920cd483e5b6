// The disks of core servers and of etcd's members outlive their claims: a PersistentVolume that such a claim
// is bound to gets the reclaim policy Retain, where its StorageClass made it Delete. So neither a namespace
// that is deleted nor a claim that was deleted by mistake takes data with it.
//
// And a Ready core server is not restarted while a claim of it is being deleted: the claim would go with the
// pod, and the server begin on another, empty disk.
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr size_t kPodsALook = 20;
constexpr uint64_t kNextLookMs = 1'000;
constexpr uint64_t kAskAgainMs = 60'000;  // after an error

json pointer(const ResourceKind& kind, const std::string& name_space, const std::string& name) {
  return {{"kind", kind.kind}, {"metadata", {{"namespace", name_space}, {"name", name}}}};
}

// False: ask again.
bool keep_disk(ClusterPass& pass, const std::string& claim_name) {
  const std::string& name_space = pass.identity.name_space;
  const auto claim = pass.calls.get(claim_kind(), name_space, claim_name);
  if (!claim && claim.status().code() == Code::kNotFound) return true;
  if (!claim) {
    pass.failed(pointer(claim_kind(), name_space, claim_name), "read", claim.status());
    return false;
  }
  const std::string name = text_at(*claim, "/spec/volumeName");
  if (name.empty()) return true;
  const auto volume = pass.calls.get(persistent_volume_kind(), "", name);
  if (!volume) {
    pass.failed(pointer(persistent_volume_kind(), "", name), "read", volume.status());
    return false;
  }
  if (text_at(*volume, "/spec/persistentVolumeReclaimPolicy") == "Retain") return true;
  const auto kept = pass.calls.merge_patch(persistent_volume_kind(), "", name,
                                           {{"spec", {{"persistentVolumeReclaimPolicy", "Retain"}}}});
  if (!kept) pass.failed(*volume, "patch", kept.status());
  if (kept)
    log(LogLevel::kInfo, "operator",
        "PersistentVolume " + name + " of claim " + claim_name + " now has reclaim policy Retain");
  return kept.is_ok();
}

bool has_data(const json& pod) {
  const std::string component = label_of(pod, kComponentLabel);
  return component == kCoreComponent || component == kEtcdComponent;
}

}  // namespace

std::vector<std::string> claims_of(const ClusterPass& pass, const json& pod) {
  std::vector<std::string> claims;
  const std::string name = name_of(pod);
  for (const ObjectPointer& set : pass.found.stateful_sets) {
    if (name.substr(0, name.rfind('-')) != name_of(*set)) continue;
    const json* templates = value_at(*set, "/spec/volumeClaimTemplates");
    if (!templates || !templates->is_array()) continue;
    for (const json& each : *templates) claims.push_back(text_at(each, "/metadata/name") + "-" + name);
  }
  return claims;
}

void keep_disks(ClusterPass& pass) {
  auto& kept = pass.state.pods_with_kept_disks;
  std::set<std::string> there;
  size_t asked = 0;
  auto& failed = pass.state.disks_not_kept;
  std::erase_if(failed, [&](const auto& each) { return pass.now_ms >= each.second.when_ms + kAskAgainMs; });
  for (const ObjectPointer& pod : pass.found.pods) {
    const std::string uid = text_at(*pod, "/metadata/uid");
    if (!has_data(*pod) || uid.empty()) continue;
    if (kept.contains(uid)) {
      there.insert(uid);
      continue;
    }
    if (!has_true_condition(*pod, "Ready") || pass.api_is_away) continue;
    if (failed.contains(uid)) {
      pass.status.apply_errors.push_back(failed[uid].why);
      continue;
    }
    if (asked++ >= kPodsALook) {
      pass.look_again_after(kNextLookMs);
      break;
    }
    bool all = true;
    for (const std::string& claim : claims_of(pass, *pod)) all = keep_disk(pass, claim) && all;
    if (all) {
      there.insert(uid);
    } else {
      failed[uid] = {pass.now_ms, pass.status.apply_errors.back()};
      pass.look_again_after(kAskAgainMs);
    }
  }
  if (asked <= kPodsALook) kept = std::move(there);  // those that are gone are forgotten
  if (asked > kPodsALook) kept.merge(there);
}

std::string obstacle_by_claims(ClusterPass& pass, const json& pod) {
  if (label_of(pod, kComponentLabel) != kCoreComponent || !has_true_condition(pod, "Ready")) return {};
  for (const std::string& name : claims_of(pass, pod)) {
    const auto claim = pass.calls.get(claim_kind(), pass.identity.name_space, name);
    if (!claim && claim.status().code() == Code::kNotFound) continue;
    if (!claim)
      return "claim " + name + " of pod " + name_of(pod) + " cannot be read: " + claim.status().message();
    if (!is_ending(*claim)) continue;
    const std::string volume = text_at(*claim, "/spec/volumeName");
    return "claim " + name + " is being deleted, and goes when pod " + name_of(pod) +
           " does, which would begin anew on an empty disk: PersistentVolume " + volume +
           " has the data; see docs/howto/kubernetes.md on how to bind a new claim to it, or delete the pod "
           "to give this copy up";
  }
  return {};
}

}  // namespace shima
