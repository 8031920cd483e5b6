// CSI on the nodes: plug-in and mounter, a DaemonSet a site each, which are told their site, its core servers
// first and its access servers' address. The mounter's restart would end mounts: OnDelete. Without an owner:
// while volumes keep a ShimaCluster from being deleted, pods use them.
#include "operator/desired/components.h"
#include "operator/desired/csi_parts.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/pod_parts.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// Told to end, it serves on until its last mount was taken away: so long may the node's drain take.
constexpr int kMounterGrace_s = 3600;
constexpr int kPluginMetricsPort = 9811;  // of 127.0.0.1, on the node's network

const Json kFieldNodeName = {{"name", "NODE_NAME"},
                             {"valueFrom", {{"fieldRef", {{"fieldPath", "spec.nodeName"}}}}}};
const Json kFieldHostIp = {{"name", "HOST_IP"},
                           {"valueFrom", {{"fieldRef", {{"fieldPath", "status.hostIP"}}}}}};

// Of both, in this order.
std::vector<std::string> arguments(const ClusterPlan& plan, const std::string& site, const std::string& role,
                                   const std::string& endpoint) {
  return {role,
          "--endpoint=unix://" + endpoint,
          "--core=" + joined(control_endpoints(plan, site)),
          "--node-name=$(NODE_NAME)",
          "--site=" + site,
          "--topology-key=" + plan.sites.label,
          "--state-dir=/run/shima",
          "--publish-root=" + plan.spec.csi.kubelet_directory};
}

Json shared_mounts(const ClusterPlan& plan) {
  return Json::array({csi_mount("run", "/run/shima", true),
                      csi_mount("kubelet", plan.spec.csi.kubelet_directory, true), csi_mount("dev", "/dev")});
}

Json shared_volumes(const ClusterPlan& plan) {
  return Json::array({csi_host_directory("kubelet", plan.spec.csi.kubelet_directory, "Directory"),
                      csi_host_directory("run", "/run/shima", "DirectoryOrCreate"),
                      csi_host_directory("dev", "/dev", "Directory")});
}

// The image's own user is kServerUser, who could not mount even in a container that is privileged.
Json root_of_the_node() { return {{"privileged", true}, {"runAsUser", 0}, {"runAsGroup", 0}}; }

Json plugin_container(const ClusterPlan& plan, const std::string& site) {
  std::vector<std::string> args = arguments(plan, site, "--node", "/csi/csi.sock");
  args.push_back("--mounter-endpoint=unix:///run/shima/mounter.sock");
  args.push_back("--metrics-port=" + std::to_string(kPluginMetricsPort));
  args.push_back("--node-addresses=$(HOST_IP)");  // told, so that a node registers while there is no DNS
  if (plan.spec.access_servers.per_site > 0)
    args.push_back("--nfs-server=" + service_address(object_name("access", site), plan.cluster.name_space) +
                   ":" + std::to_string(kNfsPort));
  Json container = csi_container(plan, args);
  container["env"] = Json::array({kFieldNodeName, kFieldHostIp});
  container["ports"] = named_ports({{"healthz", kCsiNodeHealthPort}});
  container["livenessProbe"] = csi_liveness_probe({{"host", "127.0.0.1"}, {"port", kPluginMetricsPort}});
  container["readinessProbe"] = csi_readiness_probe();
  container["securityContext"] = root_of_the_node();  // mounts, loop devices
  container["volumeMounts"] = shared_mounts(plan);
  container["volumeMounts"].push_back(csi_mount("plugin", "/csi"));
  return container;
}

Json mounter_container(const ClusterPlan& plan, const std::string& site) {
  std::vector<std::string> args = arguments(plan, site, "--mounter", "/run/shima/mounter.sock");
  args.push_back("--accessserver=/usr/bin/shima-accessserver");
  args.push_back("--metrics-port=9812");
  Json container = csi_container(plan, args);
  container["env"] = Json::array({kFieldNodeName});
  container["securityContext"] = root_of_the_node();  // /dev/fuse and mount(2)
  container["volumeMounts"] = shared_mounts(plan);
  return container;
}

// `name`: of its DaemonSet.
Json node_pod(const ClusterPlan& plan, const std::string& site, const std::string& name) {
  return {{"serviceAccountName", kCsiNodeAccount},
          {"automountServiceAccountToken", false},  // the site is told: nothing is asked of Kubernetes
          {"priorityClassName", "system-node-critical"},
          {"hostNetwork", true},
          {"dnsPolicy", "ClusterFirstWithHostNet"},
          {"nodeSelector", site_selector(plan, site, name, /*image=*/"")},
          {"tolerations", Json::array({{{"operator", "Exists"}}})}};
}

Json daemon_set(const ClusterPlan& plan, const std::string& name, const Part& part, Json strategy, Json pod) {
  Json object = lasting_object(plan.cluster, {"apps/v1", "DaemonSet"}, name, part);
  object["spec"] = {
      {"selector", {{"matchLabels", pod_selector(plan.cluster, part)}}},
      {"updateStrategy", std::move(strategy)},
      {"template",
       {{"metadata", {{"labels", object_labels(plan.cluster, part)}}}, {"spec", std::move(pod)}}}};
  return object;
}

Json mounter(const ClusterPlan& plan, const std::string& site) {
  const std::string name = object_name("csi-mounter", site);
  Json pod = node_pod(plan, site, name);
  pod["terminationGracePeriodSeconds"] = kMounterGrace_s;
  pod["containers"] = Json::array({mounter_container(plan, site)});
  pod["volumes"] = shared_volumes(plan);
  return daemon_set(plan, name, {kCsiMounterComponent, site}, {{"type", "OnDelete"}}, pod);
}

Json plugin(const ClusterPlan& plan, const std::string& site) {
  const std::string& kubelet = plan.spec.csi.kubelet_directory;
  const std::string name = object_name("csi-node", site);
  const Json socket = csi_mount("plugin", "/csi");
  Json pod = node_pod(plan, site, name);
  pod["containers"] = Json::array(
      {plugin_container(plan, site),
       csi_sidecar(plan, "node-driver-registrar", "registrar",
                   {"--csi-address=/csi/csi.sock",
                    "--kubelet-registration-path=" + kubelet + "/plugins/shima.io/csi.sock"},
                   Json::array({socket, csi_mount("registration", "/registration")})),
       csi_sidecar(plan, "liveness-probe", "livenessprobe",
                   {"--csi-address=/csi/csi.sock", "--http-endpoint=:" + std::to_string(kCsiNodeHealthPort),
                    "--probe-timeout=4s"},
                   Json::array({socket}))});
  pod["volumes"] = shared_volumes(plan);
  pod["volumes"].push_back(csi_host_directory("plugin", kubelet + "/plugins/shima.io", "DirectoryOrCreate"));
  pod["volumes"].push_back(csi_host_directory("registration", kubelet + "/plugins_registry", "Directory"));
  const Json strategy = {{"type", "RollingUpdate"}, {"rollingUpdate", {{"maxUnavailable", "10%"}}}};
  return daemon_set(plan, name, {kCsiNodeComponent, site}, strategy, pod);
}

}  // namespace

Objects csi_node_objects(const ClusterPlan& plan) {
  Objects objects;
  if (!plan.spec.csi.enabled) return objects;
  for (const auto& [site, count] : plan.core_servers) {
    objects.push_back(mounter(plan, site));
    objects.push_back(plugin(plan, site));
  }
  return objects;
}

}  // namespace shima
