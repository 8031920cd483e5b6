#include "operator/desired/desired_objects.h"

#include "operator/desired/cluster_plan.h"
#include "operator/desired/components.h"
#include "operator/desired/node_labels.h"

namespace shima {

DesiredCluster desired_objects(const ClusterIdentity& cluster, const ShimaClusterSpec& spec,
                               const std::vector<NodeView>& nodes, const ObservedCluster& observed) {
  const ClusterPlan plan = plan_cluster(cluster, spec, nodes, observed);
  DesiredCluster desired{plan.sites, {}, node_label_patches(plan.sites, nodes), plan.refused};
  for (const auto part : {account_objects, policy_objects, host_directory_objects, etcd_objects,
                          core_server_objects, access_server_objects, csi_controller_objects,
                          csi_node_objects, storage_class_objects, monitoring_objects}) {
    for (nlohmann::json& object : part(plan)) desired.objects.push_back(std::move(object));
  }
  return desired;
}

}  // namespace shima
