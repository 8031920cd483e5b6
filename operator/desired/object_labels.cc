#include "operator/desired/object_labels.h"

namespace shima {

using Json = nlohmann::json;

Json pod_selector(const ClusterIdentity& cluster, const Part& part) {
  Json labels = {{kClusterLabel, cluster.name}};
  if (!part.component.empty()) labels[kComponentLabel] = part.component;
  if (!part.site.empty()) labels[kSiteLabel] = part.site;
  return labels;
}

Json object_labels(const ClusterIdentity& cluster, const Part& part) {
  Json labels = pod_selector(cluster, part);
  labels["app.kubernetes.io/name"] = "shima";
  labels["app.kubernetes.io/instance"] = cluster.name;
  labels[kManagedByLabel] = kManagedByValue;
  labels[kClusterNamespaceLabel] = cluster.name_space;
  return labels;
}

Json cluster_wide_object(const ClusterIdentity& cluster, const ObjectKind& kind, const std::string& name,
                         const Part& part) {
  return {{"apiVersion", kind.api_version},
          {"kind", kind.kind},
          {"metadata", {{"name", name}, {"labels", object_labels(cluster, part)}}}};
}

Json lasting_object(const ClusterIdentity& cluster, const ObjectKind& kind, const std::string& name,
                    const Part& part) {
  Json object = cluster_wide_object(cluster, kind, name, part);
  object["metadata"]["namespace"] = cluster.name_space;
  return object;
}

Json namespaced_object(const ClusterIdentity& cluster, const ObjectKind& kind, const std::string& name,
                       const Part& part) {
  Json object = lasting_object(cluster, kind, name, part);
  object["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", "shima.io/v1alpha1"},
                                                        {"kind", "ShimaCluster"},
                                                        {"name", cluster.name},
                                                        {"uid", cluster.uid},
                                                        {"controller", true},
                                                        {"blockOwnerDeletion", true}}});
  return object;
}

}  // namespace shima
