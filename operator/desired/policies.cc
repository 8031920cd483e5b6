// What may be taken away at the same time, and who may speak to whom.
//
// Nodes reach core servers' control and client ports, since FUSE mounts live in the hosts' network, whose
// addresses policies cannot name. What only servers say to each other is for them alone.
#include <algorithm>

#include "operator/desired/components.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// So many pods of the part may be evicted at a time.
Json budget(const ClusterPlan& plan, const std::string& name, const Part& part, uint32_t pods) {
  Json object = lasting_object(plan.cluster, {"policy/v1", "PodDisruptionBudget"}, name, part);
  object["spec"] = {{"maxUnavailable", pods},
                    {"selector", {{"matchLabels", pod_selector(plan.cluster, part)}}}};
  return object;
}

Json one_at_a_time(const ClusterPlan& plan, const std::string& name, const Part& part) {
  return budget(plan, name, part, 1);
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

// It replaces members; its namespace may be another one. In every other namespace anybody may give a pod its
// label. The namespace's label is the API server's own (KEP-2161).
Json from_the_operator(const ClusterPlan& plan, const std::vector<int>& numbers) {
  const std::string& known = plan.observed.operator_namespace;
  const Json labels = {{"app.kubernetes.io/name", "shima-operator"}};
  const Json name_space = {{"kubernetes.io/metadata.name", known.empty() ? plan.cluster.name_space : known}};
  const Json peer = {{"namespaceSelector", {{"matchLabels", name_space}}},
                     {"podSelector", {{"matchLabels", labels}}}};
  return {{"from", Json::array({peer})}, {"ports", ports(numbers)}};
}

Json from_anywhere(const std::vector<int>& numbers) { return {{"ports", ports(numbers)}}; }

Json ingress_policy(const ClusterPlan& plan, const std::string& name, const Part& part, Json rules) {
  Json object = lasting_object(plan.cluster, {"networking.k8s.io/v1", "NetworkPolicy"}, name, part);
  object["spec"] = {{"podSelector", {{"matchLabels", pod_selector(plan.cluster, part)}}},
                    {"policyTypes", Json::array({"Ingress"})},
                    {"ingress", std::move(rules)}};
  return object;
}

// One, beside those of removed sites, which may be away for ever; never so many that no majority is left.
uint32_t etcd_members_that_may_go(const ClusterPlan& plan) {
  uint32_t all = 0, removed = 0;
  for (const auto& [site, count] : plan.etcd_members) all += count;
  for (const std::string& site : plan.spec.topology.removed_sites) {
    const auto found = plan.etcd_members.find(site);
    if (found != plan.etcd_members.end() && !plan.sites.nodes_of_site.contains(site))
      removed += found->second;
  }
  return std::max(1u, std::min(1 + removed, (all - 1) / 2));
}

void add_etcd(const ClusterPlan& plan, Objects& objects) {
  const Part part{kEtcdComponent, ""};
  objects.push_back(budget(plan, "shima-etcd", part, etcd_members_that_may_go(plan)));
  objects.push_back(ingress_policy(
      plan, "shima-etcd", part,
      Json::array({from_parts(plan, {kCoreComponent, kAccessComponent, kEtcdComponent}, {kEtcdClientPort}),
                   from_the_operator(plan, {kEtcdClientPort}),
                   from_parts(plan, {kEtcdComponent}, {kEtcdPeerPort}), from_anywhere({kEtcdMetricsPort})})));
}

// A budget for each site, so that the drain of a node in one site lets no server of another go. On trial the
// drain of the only node takes the operator, too, and nobody would open it.
void add_core_servers(const ClusterPlan& plan, Objects& objects) {
  const Part part{kCoreComponent, ""};
  for (const auto& [site, count] : plan.core_servers) {
    const bool one_may_go = plan.spec.trial || site == plan.observed.draining_site;
    Json object = budget(plan, object_name("core", site), {kCoreComponent, site}, one_may_go ? 1 : 0);
    object["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow";  // one that is not ready protects nothing
    objects.push_back(std::move(object));
  }
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
