#include "operator/desired/desired_objects.h"

#include "operator/desired/cluster_plan.h"
#include "operator/desired/components.h"
#include "operator/desired/node_labels.h"

namespace shima {

DesiredCluster desired_objects(const ClusterIdentity& cluster, const ShimaClusterSpec& spec,
                               const std::vector<NodeView>& nodes, const ObservedCluster& observed) {
  const ClusterPlan plan = plan_cluster(cluster, spec, nodes, observed);
  DesiredCluster desired{plan.sites, {}, node_label_patches(plan.sites, nodes), plan.refused};
  for (const std::string& site : spec.topology.removed_sites)
    if (!plan.sites.nodes_of_site.contains(site)) desired.removed_sites.insert(site);
  for (const auto& [site, nodes] : plan.sites.nodes_of_site)
    desired.removed_sites.erase(site);  // was refused
  desired.has_etcd = !etcd_endpoints(plan, "").empty();
  desired.refused.insert(desired.refused.end(), plan.sites.refused.begin(), plan.sites.refused.end());
  for (const auto part : {account_objects, policy_objects, host_directory_objects, etcd_objects,
                          core_server_objects, access_server_objects, csi_controller_objects,
                          csi_node_objects, storage_class_objects, monitoring_objects}) {
    for (nlohmann::json& object : part(plan)) desired.objects.push_back(std::move(object));
  }
  return desired;
}

}  // namespace shima
