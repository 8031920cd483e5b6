#include "operator/reconcile/unwanted_objects.h"

#include "operator/desired/object_labels.h"
#include "operator/reconcile/found_objects.h"
#include "operator/reconcile/object_fields.h"

namespace shima {

std::vector<ObjectPointer> unwanted_objects(const ObjectMap& found, const std::set<std::string>& wanted,
                                            const ClusterIdentity& cluster) {
  std::vector<ObjectPointer> unwanted;
  for (const auto& [key, object] : found) {
    const bool managed = label_of(*object, kManagedByLabel) == kManagedByValue;
    if (!managed || !belongs_to(*object, cluster) || wanted.contains(key)) continue;
    if (is_ending(*object) || label_of(*object, kKeepLabel) == kKeepValue) continue;
    unwanted.push_back(object);
  }
  return unwanted;
}

}  // namespace shima
