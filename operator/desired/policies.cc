// What may be taken away at the same time, and who may speak to whom.
//
// Nodes reach core servers' control and client ports, since FUSE mounts live in the hosts' network, whose
// addresses policies cannot name. What only servers say to each other is for them alone.
#include "operator/desired/components.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// At most one pod of the part may be evicted at a time.
Json one_at_a_time(const ClusterPlan& plan, const std::string& name, const Part& part) {
  Json object = namespaced_object(plan.cluster, {"policy/v1", "PodDisruptionBudget"}, name, part);
  object["spec"] = {{"maxUnavailable", 1}, {"selector", {{"matchLabels", pod_selector(plan.cluster, part)}}}};
  return object;
}

Json ports(const std::vector<int>& numbers) {
  Json list = Json::array();
  for (const int number : numbers) list.push_back({{"protocol", "TCP"}, {"port", number}});
  return list;
}

Json from_parts(const ClusterPlan& plan, const std::vector<const char*>& components,
                const std::vector<int>& numbers) {
  Json peers = Json::array();
  for (const char* component : components)
    peers.push_back({{"podSelector", {{"matchLabels", pod_selector(plan.cluster, {component, ""})}}}});
  return {{"from", peers}, {"ports", ports(numbers)}};
}

Json from_anywhere(const std::vector<int>& numbers) { return {{"ports", ports(numbers)}}; }

Json ingress_policy(const ClusterPlan& plan, const std::string& name, const Part& part, Json rules) {
  Json object = namespaced_object(plan.cluster, {"networking.k8s.io/v1", "NetworkPolicy"}, name, part);
  object["spec"] = {{"podSelector", {{"matchLabels", pod_selector(plan.cluster, part)}}},
                    {"policyTypes", Json::array({"Ingress"})},
                    {"ingress", std::move(rules)}};
  return object;
}

void add_etcd(const ClusterPlan& plan, Objects& objects) {
  const Part part{kEtcdComponent, ""};
  objects.push_back(one_at_a_time(plan, "shima-etcd", part));
  objects.push_back(ingress_policy(
      plan, "shima-etcd", part,
      Json::array({from_parts(plan, {kCoreComponent, kAccessComponent, kEtcdComponent}, {kEtcdClientPort}),
                   from_parts(plan, {kEtcdComponent}, {kEtcdPeerPort}), from_anywhere({kEtcdMetricsPort})})));
}

// One budget for the core servers of all sites: a volume's copies are on servers of several.
void add_core_servers(const ClusterPlan& plan, Objects& objects) {
  const Part part{kCoreComponent, ""};
  objects.push_back(one_at_a_time(plan, "shima-core", part));
  objects.push_back(
      ingress_policy(plan, "shima-core", part,
                     Json::array({from_anywhere({kControlPort, kClientPort, kCoreMetricsPort}),
                                  from_parts(plan, {kCoreComponent}, {kStoragePort, kWanPort})})));
}

void add_access_servers(const ClusterPlan& plan, Objects& objects) {
  for (const auto& [site, count] : plan.core_servers)
    objects.push_back(one_at_a_time(plan, object_name("access", site), {kAccessComponent, site}));
  objects.push_back(ingress_policy(plan, "shima-access", {kAccessComponent, ""},
                                   Json::array({from_anywhere({kNfsPort, kAccessMetricsPort})})));
}

void add_csi_controller(const ClusterPlan& plan, Objects& objects) {
  const Part part{kCsiControllerComponent, ""};
  objects.push_back(one_at_a_time(plan, "shima-csi-controller", part));
  objects.push_back(ingress_policy(plan, "shima-csi-controller", part,
                                   Json::array({from_anywhere({kCsiControllerMetricsPort})})));
}

}  // namespace

Objects policy_objects(const ClusterPlan& plan) {
  Objects objects;
  if (!plan.etcd_members.empty()) add_etcd(plan, objects);
  if (plan.core_servers.empty()) return objects;
  add_core_servers(plan, objects);
  if (plan.spec.access_servers.per_site > 0) add_access_servers(plan, objects);
  if (plan.spec.csi.enabled) add_csi_controller(plan, objects);
  return objects;
}

}  // namespace shima
