// etcd: a StatefulSet a site, so that a member stays at its site with its disk; OnDelete, since one member at
// a time restarts, and the operator sees to that.
#include "operator/desired/components.h"
#include "operator/desired/etcd_begun.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/pod_parts.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kDataDirectory[] = "/var/lib/etcd";
constexpr char kBegunDirectory[] = "/etc/shima/etcd-begun";
// Without a majority, or under an alarm, which all members answer with 503 alike, a member is alive: restarts
// would bring no majority and clear no alarm, but take all of them away.
constexpr char kAlive[] = "/health?serializable=true&exclude=NOSPACE&exclude=CORRUPT";
const std::vector<std::pair<const char*, int>> kPorts = {
    {"client", kEtcdClientPort}, {"peer", kEtcdPeerPort}, {"metrics", kEtcdMetricsPort}};

std::string url(const std::string& host, uint16_t port) {
  return "http://" + host + ":" + std::to_string(port);
}

// Of all members; the same text at each, and never another one while the cluster lives.
std::string initial_cluster(const ClusterPlan& plan) {
  std::vector<std::string> members;
  for (const auto& [site, count] : plan.etcd_members) {
    for (uint32_t i = 0; i < count; ++i)
      members.push_back(etcd_name(site) + "-" + std::to_string(i) + "=" +
                        etcd_peer_url(pod_address(etcd_name(site), i, plan.cluster.name_space)));
  }
  return joined(members);
}

// Etcd makes the ids of cluster and members of it at the first start: a member that kept the data of an
// earlier ShimaCluster of the same name must not pass for one of this.
std::string initial_token(const ClusterIdentity& cluster) {
  return cluster.name_space + "-" + cluster.name + "-" + cluster.uid;
}

// Heartbeat and election suit round trips of up to 200 ms between sites; core servers' leases are three
// elections long. Of the rest, what a record of each volume takes: 10,000 volumes are about 100 MB.
Json arguments(const ClusterPlan& plan, const std::string& name) {
  const std::string own = "$(POD_NAME)." + service_address(name, plan.cluster.name_space);
  return Json::array({"--name=$(POD_NAME)",
                      std::string("--data-dir=") + kDataDirectory + "/data",
                      "--listen-peer-urls=" + url("0.0.0.0", kEtcdPeerPort),
                      "--initial-advertise-peer-urls=" + url(own, kEtcdPeerPort),
                      "--listen-client-urls=" + url("0.0.0.0", kEtcdClientPort),
                      "--advertise-client-urls=" + url(own, kEtcdClientPort),
                      "--listen-metrics-urls=" + url("0.0.0.0", kEtcdMetricsPort),
                      "--initial-cluster=" + initial_cluster(plan),
                      "--initial-cluster-state=$(ETCD_STATE)",
                      "--initial-cluster-token=" + initial_token(plan.cluster),
                      "--heartbeat-interval=200",
                      "--election-timeout=2000",
                      "--pre-vote=true",
                      "--strict-reconfig-check=true",
                      "--quota-backend-bytes=4294967296",
                      "--snapshot-count=10000",
                      "--auto-compaction-mode=periodic",
                      "--auto-compaction-retention=10m",
                      "--logger=zap",
                      "--log-level=warn"});
}

// What the operator has noted of the members: without it no member starts.
Json environment() {
  Json list = own_identity();
  list.push_back({{"name", "ETCD_STATE"},
                  {"valueFrom", {{"configMapKeyRef", {{"name", kEtcdBegunName}, {"key", kEtcdStateKey}}}}}});
  return list;
}

// The operator's own: it knows what the operator asks of it, which spec.image, that may be older, need not.
// So etcd's pods do not change with spec.image, but with the operator's version.
std::string image_of_init_containers(const ClusterPlan& plan) {
  return plan.observed.operator_image.empty() ? plan.spec.image : plan.observed.operator_image;
}

// Refuses a member that has begun and whose disk is empty (operator/etcd_guard).
Json guard(const ClusterPlan& plan, Json mounts) {
  mounts.push_back({{"name", "begun"}, {"mountPath", kBegunDirectory}, {"readOnly", true}});
  return {{"name", "shima-etcd-guard"},
          {"image", image_of_init_containers(plan)},
          {"imagePullPolicy", plan.spec.image_pull_policy},
          {"command", Json::array({"shima-etcd-guard"})},
          {"args", Json::array({"--member=$(POD_NAME)", std::string("--directory=") + kDataDirectory,
                                std::string("--begun=") + kBegunDirectory})},
          {"env", own_identity()},
          {"securityContext", locked_container()},
          {"terminationMessagePolicy", "FallbackToLogsOnError"},
          {"volumeMounts", mounts}};
}

Json container(const ClusterPlan& plan, const std::string& name, const Json& mounts) {
  return {{"name", "etcd"},
          {"image", plan.spec.etcd.image},
          {"imagePullPolicy", plan.spec.image_pull_policy},
          {"command", Json::array({"etcd"})},
          {"args", arguments(plan, name)},
          {"env", environment()},
          {"ports", named_ports(kPorts)},
          {"startupProbe", http_probe("metrics", kAlive, 2, 300)},
          {"livenessProbe", http_probe("metrics", kAlive, 20, 6)},
          // An alarm shows here, and so in EtcdReady; members and clients find each other all the same.
          {"readinessProbe", http_probe("metrics", "/health", 10, 3)},
          {"securityContext", locked_container()},
          {"volumeMounts", mounts}};
}

Json node_affinity(const ClusterPlan& plan) {
  Json sites = Json::array();
  for (const auto& [site, nodes] : plan.sites.nodes_of_site) sites.push_back(site);
  const Json elsewhere = {{"key", plan.sites.label}, {"operator", "NotIn"}, {"values", sites}};
  const Json term = {{"matchExpressions", Json::array({elsewhere})}};
  return {{"requiredDuringSchedulingIgnoredDuringExecution", {{"nodeSelectorTerms", Json::array({term})}}}};
}

Json pod_spec(const ClusterPlan& plan, const std::string& site, const std::string& name) {
  const Json mounts = Json::array({{{"name", "data"}, {"mountPath", kDataDirectory}}});
  Json own = ownership_container(plan.spec, {plan.spec.etcd.data}, mounts);
  Json pod = {
      {"serviceAccountName", kServerAccount},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"priorityClassName", "system-cluster-critical"},
      {"terminationGracePeriodSeconds", 30},
      {"tolerations", plan.spec.core_servers.tolerations},
      {"affinity", on_distinct_hosts(pod_selector(plan.cluster, {kEtcdComponent, ""}), !plan.spec.trial)},
      {"securityContext", unprivileged_pod()},
      {"initContainers", Json::array({guard(plan, mounts)})},
      {"containers", Json::array({container(plan, name, mounts)})},
      {"volumes", Json::array({{{"name", "begun"}, {"configMap", {{"name", kEtcdBegunName}}}}})}};
  if (!own.is_null()) {
    own["image"] = image_of_init_containers(plan);
    pod["initContainers"].insert(pod["initContainers"].begin(), own);
  }
  if (!site.empty()) {
    pod["nodeSelector"] = site_selector(plan, site, name, plan.spec.etcd.image);
  } else {
    if (!plan.spec.etcd.witness_selector.empty()) pod["nodeSelector"] = plan.spec.etcd.witness_selector;
    pod["affinity"]["nodeAffinity"] = node_affinity(plan);
  }
  return pod;
}

Json stateful_set(const ClusterPlan& plan, const std::string& site, uint32_t count) {
  const std::string name = etcd_name(site);
  const Part part{kEtcdComponent, site};
  Json selector = pod_selector(plan.cluster, part), labels = object_labels(plan.cluster, part);
  // Without a site the selector alone would also take the other members.
  selector["shima.io/etcd"] = labels["shima.io/etcd"] = name;
  Json object = lasting_object(plan.cluster, {"apps/v1", "StatefulSet"}, name, part);
  Json metadata = {{"labels", labels}};
  if (const Json kept = keep_on_node({plan.spec.etcd.data}); !kept.empty()) metadata["annotations"] = kept;
  object["spec"] = {
      {"replicas", count},
      {"serviceName", name},
      {"podManagementPolicy", "Parallel"},
      {"updateStrategy", {{"type", "OnDelete"}}},
      {"persistentVolumeClaimRetentionPolicy", {{"whenDeleted", "Retain"}, {"whenScaled", "Retain"}}},
      {"selector", {{"matchLabels", selector}}},
      {"template", {{"metadata", metadata}, {"spec", pod_spec(plan, site, name)}}},
      {"volumeClaimTemplates",
       Json::array({claim_template(plan.cluster, kEtcdComponent, "data", plan.spec.etcd.data, 0)})}};
  return object;
}

// Members find each other before any of them is ready.
Json service(const ClusterPlan& plan, const std::string& site) {
  const Part part{kEtcdComponent, site};
  Json selector = pod_selector(plan.cluster, part);
  selector["shima.io/etcd"] = etcd_name(site);
  Json object = lasting_object(plan.cluster, {"v1", "Service"}, etcd_name(site), part);
  object["spec"] = {{"clusterIP", "None"},
                    {"publishNotReadyAddresses", true},
                    {"selector", selector},
                    {"ports", service_ports(kPorts)}};
  return object;
}

}  // namespace

Objects etcd_objects(const ClusterPlan& plan) {
  Objects objects;
  for (const auto& [site, count] : plan.etcd_members) {
    objects.push_back(service(plan, site));
    objects.push_back(stateful_set(plan, site, count));
  }
  return objects;
}

}  // namespace shima
