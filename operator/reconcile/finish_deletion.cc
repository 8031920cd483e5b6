#include <algorithm>

#include "operator/desired/node_labels.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/reconcile/unwanted_objects.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kStorageClass[] = "StorageClass";

json finalizers_of(const json& object) {
  const json* list = value_at(object, "/metadata/finalizers");
  return list && list->is_array() ? *list : json::array();
}

// With the version that was read, so that what someone else adds meanwhile is not lost.
Result<json> write_finalizers(ClusterPass& pass, const json& list) {
  const json patch{
      {"metadata",
       {{"finalizers", list}, {"resourceVersion", text_at(*pass.object, "/metadata/resourceVersion")}}}};
  return pass.calls.merge_patch(shima_cluster_kind(), pass.identity.name_space, pass.identity.name, patch);
}

bool has_core_servers(const ClusterPass& pass) { return !server_sets(pass.found, kCoreComponent).empty(); }

// Deletes what has no owner; true: nothing of it was there any more.
bool remove_ownerless(ClusterPass& pass, bool only_classes) {
  bool clean = true;
  for (const ResourceKind& kind : owned_kinds()) {
    if ((only_classes && kind.kind != kStorageClass) || !pass.view.watched(kind)) continue;
    for (const ObjectPointer& object : unwanted_objects(pass.view.all(kind), {}, pass.identity)) {
      if (is_owned_by(*object, pass.identity.uid)) continue;
      clean = false;
      log(LogLevel::kInfo, "operator", "delete " + told_object(*object) + " with its ShimaCluster");
      const Status removed =
          pass.calls.remove(kind, namespace_of(*object), name_of(*object), text_at(*object, "/metadata/uid"));
      if (!removed && removed.code() != Code::kConflict) pass.failed(*object, "delete", removed);
    }
  }
  return clean;
}

bool is_decided(const ClusterPass& pass) {
  const json* annotations = value_at(*pass.object, "/metadata/annotations");
  const bool written = annotations && annotations->is_object() &&
                       annotations->value(kDeletionDecided, json()) == pass.identity.uid;
  return written || pass.state.deletion_decided_uid == pass.identity.uid;
}

// Without classes nobody makes a volume any more; whether somebody did is asked again after that.
bool no_volume_can_come(ClusterPass& pass) {
  ClusterState& state = pass.state;
  if (!remove_ownerless(pass, /*only_classes=*/true) || state.classes_gone_ms == 0) {
    state.classes_gone_ms = pass.now_ms;
    if (state.watch) state.watch->look_soon();
    return false;
  }
  return !has_core_servers(pass) || pass.snapshot->taken_ms > state.classes_gone_ms;
}

// Written down before the servers go, or a restarted operator would take them for lost and make them again.
bool decide(ClusterPass& pass) {
  const json patch{{"metadata",
                    {{"annotations", {{kDeletionDecided, pass.identity.uid}}},
                     {"resourceVersion", text_at(*pass.object, "/metadata/resourceVersion")}}}};
  const auto written =
      pass.calls.merge_patch(shima_cluster_kind(), pass.identity.name_space, pass.identity.name, patch);
  if (written) {
    pass.state.deletion_decided_uid = pass.identity.uid;
    pass.object = std::make_shared<const json>(*written);
  } else if (written.status().code() != Code::kConflict) {
    pass.failed(*pass.object, "write that its servers go", written.status());
  }
  return written.is_ok();
}

std::map<std::string, json> labels_to_take(const ClusterPass& pass) {
  SiteMap none = pass.state.sites;
  none.nodes_of_site.clear();
  std::vector<NodeView> own;
  for (const NodeView& node : pass.nodes)
    for (const auto& [site, names] : pass.state.sites.nodes_of_site)
      if (std::find(names.begin(), names.end(), node.name) != names.end()) own.push_back(node);
  return node_label_patches(none, own);
}

}  // namespace

void hold_finalizer(ClusterPass& pass) {
  json list = finalizers_of(*pass.object);
  for (const json& each : list)
    if (each == json(kFinalizer)) return;
  list.push_back(kFinalizer);
  const auto written = write_finalizers(pass, list);
  // A conflict only says that what was read is old: the watch brings the newer one.
  if (!written && written.status().code() != Code::kConflict)
    pass.failed(*pass.object, "add the finalizer", written.status());
}

void look_at_deletion(ClusterPass& pass) {
  DeletionView& deletion = pass.status.deletion;
  deletion.asked = is_ending(*pass.object);
  if (!deletion.asked) return;
  if (is_decided(pass)) {
    deletion.known = true;
    return;
  }
  if (!has_core_servers(pass)) {  // nobody can tell, unless nobody could have made a volume
    deletion.known = !was_used(pass);
    return;
  }
  const bool fresh = pass.now_ms <= pass.snapshot->taken_ms + RestartGuard::kMaxAgeMs;
  deletion.known = pass.snapshot->health.answered && pass.snapshot->volumes_known && fresh;
  for (const VolumeView& volume : pass.snapshot->volumes) deletion.volumes.push_back(volume.name);
}

bool finish_deletion(ClusterPass& pass) {
  const bool decided = is_decided(pass) || (no_volume_can_come(pass) && decide(pass));
  if (!decided || !remove_ownerless(pass, /*only_classes=*/false) || pass.api_is_away ||
      !remove_etcd_record(pass)) {
    pass.look_again_after(1'000);
    return false;
  }
  label_nodes(pass, labels_to_take(pass));
  json list = json::array();
  for (const json& each : finalizers_of(*pass.object))
    if (each != json(kFinalizer)) list.push_back(each);
  const auto written = write_finalizers(pass, list);
  if (!written && written.status().code() != Code::kNotFound) {
    pass.failed(*pass.object, "take the finalizer away", written.status());
    pass.look_again_after(1'000);
    return false;
  }
  log(LogLevel::kInfo, "operator", told_object(*pass.object) + ": deleted");
  return true;
}

}  // namespace shima
