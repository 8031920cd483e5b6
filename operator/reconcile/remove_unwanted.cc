#include "operator/desired/etcd_record.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/reconcile/unwanted_objects.h"

namespace shima {
namespace {

// What volumes live by does not go because something is not to be seen for a moment, or cannot be planned.
bool is_kept(const DesiredCluster& desired, const nlohmann::json& object) {
  const std::string kind = text_at(object, "/kind"), component = label_of(object, kComponentLabel);
  const bool serves = kind == "StatefulSet" || kind == "Service" || kind == "ConfigMap";
  if (!serves) return false;
  if (kind == "ConfigMap" && name_of(object) == kEtcdRecordName) return true;
  if (component == kEtcdComponent || component == kCoreComponent)
    return !desired.removed_sites.contains(label_of(object, kSiteLabel));
  return component == kAccessComponent && !desired.has_etcd;
}

// As the plan was made by.
ObjectMap seen_objects(const ClusterPass& pass, const ResourceKind& kind) {
  if (kind_key(kind) != kind_key(stateful_set_kind())) return pass.view.all(kind);
  ObjectMap seen;
  for (const ObjectPointer& set : pass.found.stateful_sets) seen[key_of(*set)] = set;
  return seen;
}

}  // namespace

void remove_unwanted(ClusterPass& pass) {
  std::map<std::string, std::set<std::string>> wanted;  // by kind: keys
  for (const nlohmann::json& object : pass.desired.objects)
    if (const ResourceKind* kind = kind_of(object)) wanted[kind_key(*kind)].insert(key_of(object));
  for (const ResourceKind& kind : owned_kinds()) {
    if (!pass.view.watched(kind)) continue;
    for (const ObjectPointer& object :
         unwanted_objects(seen_objects(pass, kind), wanted[kind_key(kind)], pass.identity)) {
      if (is_kept(pass.desired, *object)) continue;
      if (pass.api_is_away) return;
      log(LogLevel::kInfo, "operator", "delete " + told_object(*object) + ": nothing asks for it any more");
      const Status removed =
          pass.calls.remove(kind, namespace_of(*object), name_of(*object), text_at(*object, "/metadata/uid"));
      if (!removed && removed.code() != Code::kConflict) pass.failed(*object, "delete", removed);
      pass.state.ledger.forget(kind_key(kind) + "|" + key_of(*object));
    }
  }
}

}  // namespace shima
