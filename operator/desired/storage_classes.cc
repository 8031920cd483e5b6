#include "operator/desired/components.h"
#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

Json storage_class(const ClusterPlan& plan, const StorageClassSpec& spec) {
  Json object = cluster_wide_object(plan.cluster, {"storage.k8s.io/v1", "StorageClass"}, spec.name, {});
  if (spec.is_default)
    object["metadata"]["annotations"] = {{"storageclass.kubernetes.io/is-default-class", "true"},
                                         {"storageclass.kubevirt.io/is-default-virt-class", "true"}};
  object["provisioner"] = "shima.io";
  object["volumeBindingMode"] = "WaitForFirstConsumer";  // the home is where the first pod runs
  object["allowVolumeExpansion"] = true;
  object["reclaimPolicy"] = spec.reclaim_policy;
  object["parameters"] = spec.parameters;
  return object;
}

}  // namespace

Objects storage_class_objects(const ClusterPlan& plan) {
  Objects objects;
  if (!plan.spec.csi.enabled) return objects;
  for (const StorageClassSpec& spec : plan.spec.storage_classes) objects.push_back(storage_class(plan, spec));
  return objects;
}

}  // namespace shima
