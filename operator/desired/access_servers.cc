// Access servers: a StatefulSet a site, since each has a name of its own, and one address for all of a site:
// a Service. Without an owner: NFS mounts of running pods live by them and by that address.
#include "operator/desired/access_addresses.h"
#include "operator/desired/components.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/pod_parts.h"

namespace shima {
namespace {

using Json = nlohmann::json;

const std::vector<std::pair<const char*, int>> kPorts = {{"nfs", kNfsPort}, {"metrics", kAccessMetricsPort}};

// A client stays with its server while that is there: so does its table of answered requests.
Json service(const ClusterPlan& plan, const std::string& name, const Part& part) {
  Json object = lasting_object(plan.cluster, {"v1", "Service"}, name, part);
  object["spec"] = {{"type", "ClusterIP"},
                    {"sessionAffinity", "ClientIP"},
                    {"selector", pod_selector(plan.cluster, part)},
                    {"ports", service_ports(kPorts)}};
  if (const auto had = plan.observed.access_addresses.find(name); had != plan.observed.access_addresses.end())
    object["spec"]["clusterIP"] = had->second;
  return object;
}

// Of the sites that there are, also while no access servers are asked for.
AccessAddresses addresses_to_keep(const ClusterPlan& plan) {
  AccessAddresses kept;
  for (const auto& [site, count] : plan.core_servers) {
    const auto had = plan.observed.access_addresses.find(object_name("access", site));
    if (had != plan.observed.access_addresses.end()) kept.insert(*had);
  }
  return kept;
}

Json arguments(const ClusterPlan& plan, const std::string& site) {
  Json list = Json::array(
      {"--name=" + site + "/access-$(POD_INDEX)", "--core.endpoints=" + joined(control_endpoints(plan, site)),
       "--etcd.endpoints=" + joined(etcd_endpoints(plan, site)), "--nfs.address=$(POD_IP)",
       "--nfs.port=" + std::to_string(kNfsPort), "--metrics.address=$(POD_IP)",
       "--metrics.port=" + std::to_string(kAccessMetricsPort)});
  for (const std::string& flag : option_flags(plan.spec.access_servers.options)) list.push_back(flag);
  return list;
}

Json container(const ClusterPlan& plan, const std::string& site) {
  return {{"name", "shima-accessserver"},
          {"image", plan.spec.image},
          {"imagePullPolicy", plan.spec.image_pull_policy},
          {"command", Json::array({"shima-accessserver"})},
          {"args", arguments(plan, site)},
          {"env", own_identity()},
          {"ports", named_ports(kPorts)},
          {"livenessProbe", http_probe("metrics", "/healthz", 20, 6)},
          {"readinessProbe", tcp_probe("nfs", 5, 3)},
          {"resources", pod_resources(plan.spec.access_servers.resources)},
          {"securityContext", locked_container()}};
}

Json stateful_set(const ClusterPlan& plan, const std::string& site, const std::string& name,
                  const Part& part) {
  const Json pod = {{"serviceAccountName", kServerAccount},
                    {"automountServiceAccountToken", false},
                    {"enableServiceLinks", false},
                    {"priorityClassName", "system-cluster-critical"},
                    {"terminationGracePeriodSeconds", 30},
                    {"nodeSelector", site_selector(plan, site, name, plan.spec.image)},
                    {"tolerations", plan.spec.core_servers.tolerations},
                    {"affinity", on_distinct_hosts(pod_selector(plan.cluster, part), /*required=*/false)},
                    {"securityContext", unprivileged_pod()},
                    {"containers", Json::array({container(plan, site)})}};
  Json object = lasting_object(plan.cluster, {"apps/v1", "StatefulSet"}, name, part);
  object["spec"] = {
      {"replicas", plan.spec.access_servers.per_site},
      {"serviceName", name},
      {"podManagementPolicy", "Parallel"},
      {"updateStrategy", {{"type", "RollingUpdate"}}},
      {"selector", {{"matchLabels", pod_selector(plan.cluster, part)}}},
      {"template", {{"metadata", {{"labels", object_labels(plan.cluster, part)}}}, {"spec", pod}}}};
  return object;
}

}  // namespace

Objects access_server_objects(const ClusterPlan& plan) {
  Objects objects;
  if (const AccessAddresses kept = addresses_to_keep(plan); !kept.empty())
    objects.push_back(access_addresses_object(plan.cluster, kept));
  if (plan.spec.access_servers.per_site == 0 || etcd_endpoints(plan, "").empty()) return objects;
  for (const auto& [site, count] : plan.core_servers) {
    const Part part{kAccessComponent, site};
    const std::string name = object_name("access", site);
    objects.push_back(service(plan, name, part));
    objects.push_back(stateful_set(plan, site, name, part));
  }
  return objects;
}

}  // namespace shima
