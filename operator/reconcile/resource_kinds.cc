#include "operator/reconcile/resource_kinds.h"

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

const ResourceKind kShimaCluster{"shima.io/v1alpha1", "ShimaCluster", "shimaclusters", true};
const ResourceKind kShimaVolume{"shima.io/v1alpha1", "ShimaVolume", "shimavolumes", true};
const ResourceKind kNode{"v1", "Node", "nodes", false};
const ResourceKind kPod{"v1", "Pod", "pods", true};
const ResourceKind kStatefulSet{"apps/v1", "StatefulSet", "statefulsets", true};
const ResourceKind kDeployment{"apps/v1", "Deployment", "deployments", true};
const ResourceKind kDaemonSet{"apps/v1", "DaemonSet", "daemonsets", true};
const ResourceKind kDisruptionBudget{"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true};
const ResourceKind kConfigMap{"v1", "ConfigMap", "configmaps", true};
const ResourceKind kService{"v1", "Service", "services", true};
const ResourceKind kPersistentVolume{"v1", "PersistentVolume", "persistentvolumes", false};
const ResourceKind kClaim{"v1", "PersistentVolumeClaim", "persistentvolumeclaims", true};
const ResourceKind kVolumeAttachment{"storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", false};
const ResourceKind kEvent{"events.k8s.io/v1", "Event", "events", true};

const std::vector<ResourceKind> kOptional{
    {"monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", true},
    {"monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", true}};

std::vector<ResourceKind> make_owned() {
  std::vector<ResourceKind> kinds{
      {"v1", "ServiceAccount", "serviceaccounts", true},
      kConfigMap,
      {"rbac.authorization.k8s.io/v1", "Role", "roles", true},
      {"rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true},
      {"rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false},
      {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false},
      kService,
      kPersistentVolume,
      kDisruptionBudget,
      {"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true},
      kStatefulSet,
      kDeployment,
      kDaemonSet,
      {"storage.k8s.io/v1", "CSIDriver", "csidrivers", false},
      {"storage.k8s.io/v1", "StorageClass", "storageclasses", false}};
  kinds.insert(kinds.end(), kOptional.begin(), kOptional.end());
  return kinds;
}

const std::vector<ResourceKind> kOwned = make_owned();

}  // namespace

const ResourceKind& shima_cluster_kind() { return kShimaCluster; }
const ResourceKind& shima_volume_kind() { return kShimaVolume; }
const ResourceKind& node_kind() { return kNode; }
const ResourceKind& pod_kind() { return kPod; }
const ResourceKind& stateful_set_kind() { return kStatefulSet; }
const ResourceKind& deployment_kind() { return kDeployment; }
const ResourceKind& daemon_set_kind() { return kDaemonSet; }
const ResourceKind& disruption_budget_kind() { return kDisruptionBudget; }
const ResourceKind& event_kind() { return kEvent; }
const ResourceKind& config_map_kind() { return kConfigMap; }
const ResourceKind& service_kind() { return kService; }
const ResourceKind& persistent_volume_kind() { return kPersistentVolume; }
const ResourceKind& claim_kind() { return kClaim; }
const ResourceKind& volume_attachment_kind() { return kVolumeAttachment; }
const std::vector<ResourceKind>& owned_kinds() { return kOwned; }
const std::vector<ResourceKind>& optional_kinds() { return kOptional; }

const ResourceKind* kind_of(const nlohmann::json& object) {
  const std::string version = text_at(object, "/apiVersion"), kind = text_at(object, "/kind");
  for (const ResourceKind* each : {&kShimaCluster, &kShimaVolume, &kNode, &kPod, &kEvent})
    if (each->api_version == version && each->kind == kind) return each;
  for (const ResourceKind& each : kOwned)
    if (each.api_version == version && each.kind == kind) return &each;
  return nullptr;
}

std::string kind_key(const ResourceKind& kind) { return kind.api_version + "/" + kind.kind; }

std::string told_object(const nlohmann::json& object) {
  const std::string kind = text_at(object, "/kind"), key = key_of(object);
  return key.empty() ? kind : kind + " " + key;
}

}  // namespace shima
