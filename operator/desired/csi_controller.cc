// CSI's driver object and controller: a Deployment whose sidecars elect a leader. Without an owner: while
// volumes keep a ShimaCluster from being deleted, claims are deleted through it.
#include "operator/desired/components.h"
#include "operator/desired/csi_parts.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/pod_parts.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kName[] = "shima-csi-controller";
const Part kPart{kCsiControllerComponent, ""};

Json driver(const ClusterPlan& plan) {
  Json object = cluster_wide_object(plan.cluster, {"storage.k8s.io/v1", "CSIDriver"}, "shima.io", kPart);
  object["spec"] = {{"attachRequired", true},  // a node that is not published is fenced
                    {"podInfoOnMount", false},
                    {"storageCapacity", true},  // the scheduler sees free space by site
                    {"fsGroupPolicy", "File"},  // done by the driver (VOLUME_MOUNT_GROUP)
                    {"requiresRepublish", false},
                    {"seLinuxMount", false},
                    {"volumeLifecycleModes", Json::array({"Persistent"})}};
  return object;
}

Json our_container(const ClusterPlan& plan, const Json& mounts) {
  Json container = csi_container(
      plan, {"--controller", "--endpoint=unix:///csi/csi.sock",
             "--core=" + joined(control_endpoints(plan, "")), "--topology-key=" + plan.sites.label,
             "--metrics-address=0.0.0.0", "--metrics-port=" + std::to_string(kCsiControllerMetricsPort)});
  container["ports"] =
      named_ports({{"metrics", kCsiControllerMetricsPort}, {"healthz", kCsiControllerHealthPort}});
  container["livenessProbe"] = csi_liveness_probe({{"port", "metrics"}});
  container["readinessProbe"] = csi_readiness_probe();
  container["volumeMounts"] = mounts;
  return container;
}

Json provisioner(const ClusterPlan& plan, const Json& mounts) {
  Json container = csi_sidecar(
      plan, "csi-provisioner", "provisioner",
      {"--csi-address=/csi/csi.sock", "--timeout=60s", "--leader-election", "--extra-create-metadata",

       "--strict-topology=false",  // all sites with a copy are accessible, not only the first pod's
       "--default-fstype=",        // there is no file system to choose
       "--enable-capacity", "--capacity-ownerref-level=2"},
      mounts);
  const auto field = [](const char* name, const char* path) {
    return Json{{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
  };
  container["env"] =
      Json::array({field("NAMESPACE", "metadata.namespace"), field("POD_NAME", "metadata.name")});
  return container;
}

Json containers(const ClusterPlan& plan) {
  const Json mounts = Json::array({csi_mount("socket", "/csi")});
  const std::string socket = "--csi-address=/csi/csi.sock",
                    health = ":" + std::to_string(kCsiControllerHealthPort);
  Json list = Json::array(
      {our_container(plan, mounts), provisioner(plan, mounts),
       csi_sidecar(plan, "csi-attacher", "attacher", {socket, "--timeout=60s", "--leader-election"}, mounts),
       csi_sidecar(plan, "csi-resizer", "resizer",
                   {socket, "--timeout=60s", "--leader-election", "--handle-volume-inuse-error=false"},
                   mounts),
       csi_sidecar(plan, "liveness-probe", "livenessprobe",
                   {socket, "--http-endpoint=" + health, "--probe-timeout=4s"}, mounts)});
  for (Json& each : list) each["securityContext"] = locked_container();
  return list;
}

Json deployment(const ClusterPlan& plan) {
  const Json selector = pod_selector(plan.cluster, kPart);
  const Json spread = {{"maxSkew", 1},
                       {"topologyKey", plan.sites.label},
                       {"whenUnsatisfiable", "ScheduleAnyway"},
                       {"labelSelector", {{"matchLabels", selector}}}};
  const Json pod = {{"serviceAccountName", kCsiControllerAccount},
                    {"priorityClassName", "system-cluster-critical"},
                    {"topologySpreadConstraints", Json::array({spread})},
                    {"tolerations", plan.spec.core_servers.tolerations},
                    {"securityContext", unprivileged_pod()},
                    {"containers", containers(plan)},
                    {"volumes", Json::array({{{"name", "socket"}, {"emptyDir", Json::object()}}})}};
  Json object = lasting_object(plan.cluster, {"apps/v1", "Deployment"}, kName, kPart);
  object["spec"] = {
      {"replicas", plan.spec.trial ? 1 : 2},
      {"selector", {{"matchLabels", selector}}},
      {"template", {{"metadata", {{"labels", object_labels(plan.cluster, kPart)}}}, {"spec", pod}}}};
  return object;
}

Json metrics_service(const ClusterPlan& plan) {
  Json object = lasting_object(plan.cluster, {"v1", "Service"}, kName, kPart);
  object["spec"] = {{"clusterIP", "None"},
                    {"selector", pod_selector(plan.cluster, kPart)},
                    {"ports", service_ports({{"metrics", kCsiControllerMetricsPort}})}};
  return object;
}

}  // namespace

Objects csi_controller_objects(const ClusterPlan& plan) {
  if (!plan.spec.csi.enabled || control_endpoints(plan, "").empty()) return {};
  return {driver(plan), metrics_service(plan), deployment(plan)};
}

}  // namespace shima
