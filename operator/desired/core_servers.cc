// Core servers: a StatefulSet a site, whose pods are SITE/core-N for ever, each on a host of its own.
#include "operator/desired/components.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/pod_parts.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// A journal of 12 GiB is read before the server listens.
constexpr int kStartPeriod_s = 2, kStartFailures = 1800;
constexpr int kEndGrace_s = 120;

const std::vector<std::pair<const char*, int>> kPorts = {{"control", kControlPort},
                                                         {"client", kClientPort},
                                                         {"storage", kStoragePort},
                                                         {"wan", kWanPort},
                                                         {"metrics", kCoreMetricsPort}};

struct SiteOfServers {
  const ClusterPlan& plan;
  const std::string& site;
  std::string name;  // of StatefulSet, Service and ConfigMap
  Part part;
  uint32_t count;
};

std::string disk_directory(size_t disk) { return "/disks/" + std::to_string(disk); }
std::string disk_name(size_t disk) { return "disk-" + std::to_string(disk); }

// What is the same for all servers of the site. JSON is YAML.
std::string configuration(const SiteOfServers& s) {
  Json disks = Json::array();
  // Below the mount: a file system's own root may hold lost+found.
  for (size_t i = 0; i < s.plan.spec.core_servers.disks.size(); ++i)
    disks.push_back({{"path", disk_directory(i) + "/shima"}});
  const Json config = {{"site_labels", {{s.plan.sites.label, s.site}}},
                       {"etcd", {{"endpoints", etcd_endpoints(s.plan, s.site)}}},
                       {"networks",
                        {{"client", {{"port", kClientPort}}},
                         {"storage", {{"port", kStoragePort}}},
                         {"wan", {{"port", kWanPort}}}}},
                       {"control_port", kControlPort},
                       {"metrics_port", kCoreMetricsPort},
                       {"disks", disks}};
  return config.dump(2) + "\n";
}

Json config_map(const SiteOfServers& s) {
  Json object = lasting_object(s.plan.cluster, {"v1", "ConfigMap"}, s.name, s.part);
  object["data"] = {{"server.yaml", configuration(s)}};
  return object;
}

// Names of servers that are not ready too: they find each other before they serve.
Json service(const SiteOfServers& s) {
  Json object = lasting_object(s.plan.cluster, {"v1", "Service"}, s.name, s.part);
  object["spec"] = {{"clusterIP", "None"},
                    {"publishNotReadyAddresses", true},
                    {"selector", pod_selector(s.plan.cluster, s.part)},
                    {"ports", service_ports(kPorts)}};
  return object;
}

Json arguments(const SiteOfServers& s) {
  const bool alone_on_host = !s.plan.spec.trial;
  Json list = Json::array(
      {"--config=/etc/shima/server.yaml", "--name=" + s.site + "/core-$(POD_INDEX)",
       std::string("--failure_domain=") + (alone_on_host ? "$(NODE_NAME)" : "$(POD_NAME)"),
       "--networks.client.address=$(POD_IP)",
       "--networks.client.advertise=$(POD_NAME)." + service_address(s.name, s.plan.cluster.name_space)});
  for (const std::string& flag : option_flags(s.plan.spec.core_servers.options)) list.push_back(flag);
  return list;
}

Json disk_mounts(const SiteOfServers& s) {
  Json mounts = Json::array();
  for (size_t i = 0; i < s.plan.spec.core_servers.disks.size(); ++i)
    mounts.push_back({{"name", disk_name(i)}, {"mountPath", disk_directory(i)}});
  return mounts;
}

// No liveness probe: a server that waits for its disk does not get better by a restart, and one that cannot
// go on ends itself.
Json container(const SiteOfServers& s) {
  Json mounts = disk_mounts(s);
  mounts.push_back({{"name", "configuration"}, {"mountPath", "/etc/shima"}, {"readOnly", true}});
  return {{"name", "shima-coreserver"},
          {"image", s.plan.spec.image},
          {"imagePullPolicy", s.plan.spec.image_pull_policy},
          {"command", Json::array({"shima-coreserver"})},
          {"args", arguments(s)},
          {"env", own_identity()},
          {"ports", named_ports(kPorts)},
          {"startupProbe", tcp_probe("control", kStartPeriod_s, kStartFailures)},
          {"readinessProbe", tcp_probe("control", 5, 3)},
          {"resources", pod_resources(s.plan.spec.core_servers.resources)},
          {"securityContext", locked_container()},
          // Why it does not start, a disk that is not there among it, is in the pod's status.
          {"terminationMessagePolicy", "FallbackToLogsOnError"},
          {"volumeMounts", mounts}};
}

Json pod_spec(const SiteOfServers& s) {
  const CoreServersSpec& spec = s.plan.spec.core_servers;
  Json selector = site_selector(s.plan, s.site, s.name, s.plan.spec.image);
  for (const auto& [key, value] : spec.node_selector) selector[key] = value;
  const Json own = ownership_container(s.plan.spec, spec.disks, disk_mounts(s));
  Json pod = {
      {"serviceAccountName", kServerAccount},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"priorityClassName", "system-cluster-critical"},
      {"terminationGracePeriodSeconds", kEndGrace_s},
      {"nodeSelector", selector},
      {"tolerations", spec.tolerations},
      {"affinity", on_distinct_hosts(pod_selector(s.plan.cluster, {kCoreComponent, ""}), !s.plan.spec.trial)},
      {"securityContext", unprivileged_pod()},
      {"containers", Json::array({container(s)})},
      {"volumes", Json::array({{{"name", "configuration"}, {"configMap", {{"name", s.name}}}}})}};
  if (!own.is_null()) pod["initContainers"] = Json::array({own});
  return pod;
}

Json stateful_set(const SiteOfServers& s) {
  Json claims = Json::array();
  for (size_t i = 0; i < s.plan.spec.core_servers.disks.size(); ++i)
    claims.push_back(
        claim_template(s.plan.cluster, kCoreComponent, disk_name(i), s.plan.spec.core_servers.disks[i], i));
  Json object = lasting_object(s.plan.cluster, {"apps/v1", "StatefulSet"}, s.name, s.part);
  // A changed configuration is a new version: the operator restarts for it.
  Json annotations = keep_on_node(s.plan.spec.core_servers.disks);
  annotations["shima.io/configuration"] = content_hash(configuration(s));
  object["spec"] = {
      {"replicas", s.count},
      {"serviceName", s.name},
      {"podManagementPolicy", "Parallel"},
      {"updateStrategy", {{"type", "OnDelete"}}},
      {"persistentVolumeClaimRetentionPolicy", {{"whenDeleted", "Retain"}, {"whenScaled", "Retain"}}},
      {"selector", {{"matchLabels", pod_selector(s.plan.cluster, s.part)}}},
      {"template",
       {{"metadata", {{"labels", object_labels(s.plan.cluster, s.part)}, {"annotations", annotations}}},
        {"spec", pod_spec(s)}}},
      {"volumeClaimTemplates", claims}};
  return object;
}

}  // namespace

Objects core_server_objects(const ClusterPlan& plan) {
  Objects objects;
  if (etcd_endpoints(plan, "").empty())
    return objects;  // `refused` says why; a core server is nothing without etcd
  for (const auto& [site, count] : plan.core_servers) {
    const SiteOfServers servers{plan, site, object_name("core", site), {kCoreComponent, site}, count};
    objects.push_back(config_map(servers));
    objects.push_back(service(servers));
    objects.push_back(stateful_set(servers));
  }
  return objects;
}

}  // namespace shima
