#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/reconcile/unwanted_objects.h"

namespace shima {

void remove_unwanted(ClusterPass& pass) {
  std::map<std::string, std::set<std::string>> wanted;  // by kind: keys
  for (const nlohmann::json& object : pass.desired.objects)
    if (const ResourceKind* kind = kind_of(object)) wanted[kind_key(*kind)].insert(key_of(object));
  for (const ResourceKind& kind : owned_kinds()) {
    if (!pass.view.watched(kind)) continue;
    for (const ObjectPointer& object :
         unwanted_objects(pass.view.all(kind), wanted[kind_key(kind)], pass.identity)) {
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
