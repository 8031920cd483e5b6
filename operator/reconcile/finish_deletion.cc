#include <set>

#include "operator/desired/node_labels.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/site_map.h"
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

// Whether nobody has seen yet what there is of a kind. One that the API server need not know is of what has
// an owner.
bool may_hide(const ClusterPass& pass, const ResourceKind& kind) {
  if (pass.view.watched(kind)) return false;
  for (const ResourceKind& optional : optional_kinds())
    if (kind_key(optional) == kind_key(kind)) return false;
  return true;
}

// Deletes what has no owner; true: nothing of it was there any more.
bool remove_ownerless(ClusterPass& pass, bool only_classes) {
  bool clean = true;
  for (const ResourceKind& kind : owned_kinds()) {
    if (only_classes && kind.kind != kStorageClass) continue;
    if (may_hide(pass, kind)) clean = false;
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

// Of nodes that are in its sites; also after a restart, which forgets who that was.
std::map<std::string, json> labels_to_take(const ClusterPass& pass) {
  SiteMap sites = pass.state.sites;
  const auto spec = read_cluster_spec(pass.object->value("spec", json::object()));
  if (sites.nodes_of_site.empty() && spec) sites = map_sites(*spec, pass.nodes, {});
  std::set<std::string> own;
  for (const auto& [site, names] : sites.nodes_of_site) own.insert(names.begin(), names.end());
  std::map<std::string, json> patches;
  for (const NodeView& node : pass.nodes)
    if (own.contains(node.name) && node.labels.contains(kOwnSiteLabel))
      patches[node.name] = node_label_patch("");
  return patches;
}

}  // namespace

bool hold_finalizer(ClusterPass& pass) {
  json list = finalizers_of(*pass.object);
  for (const json& each : list)
    if (each == json(kFinalizer)) return true;
  list.push_back(kFinalizer);
  const auto written = write_finalizers(pass, list);
  // A conflict only says that what was read is old: the watch brings the newer one.
  if (written || written.status().code() == Code::kConflict) return true;
  pass.failed(*pass.object, "add the finalizer", written.status());
  return false;
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
  const HealthView& health = pass.snapshot->health;
  std::set<std::string> volumes;
  for (const VolumeView& volume : pass.snapshot->volumes) volumes.insert(volume.name);
  for (const UnhealthyVolume& each : health.unhealthy)
    volumes.insert(each.name);  // its record may be unreadable
  deletion.volumes.assign(volumes.begin(), volumes.end());
  deletion.known =
      health.answered && pass.snapshot->volumes_known && fresh && volumes.size() >= health.volumes;
}

bool finish_deletion(ClusterPass& pass) {
  const bool decided = is_decided(pass) || (no_volume_can_come(pass) && decide(pass));
  if (!decided || !remove_ownerless(pass, /*only_classes=*/false) || pass.api_is_away ||
      !remove_records(pass)) {
    pass.look_again_after(1'000);
    return false;
  }
  if (!label_nodes(pass, labels_to_take(pass)) && pass.status.apply_errors.empty()) {
    pass.look_again_after(1'000);
    return false;
  }
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
