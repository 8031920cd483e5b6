#include "operator/desired/pod_parts.h"

#include <algorithm>

#include "operator/spec/quantity.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// A host directory holds what its disk holds; a claim has to ask for something.
constexpr uint64_t kNominalBytes = 1ull << 30;

Json from_field(const char* name, const char* path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

void add_amount(Json& amounts, const char* name, const std::string& amount) {
  if (!amount.empty()) amounts[name] = amount;
}

Json probe(const char* kind, Json how, int period_s, int failures) {
  return {{kind, std::move(how)},
          {"periodSeconds", period_s},
          {"timeoutSeconds", 5},
          {"failureThreshold", failures}};
}

}  // namespace

Json own_identity() {
  return Json::array({from_field("POD_NAME", "metadata.name"),
                      from_field("POD_INDEX", "metadata.labels['apps.kubernetes.io/pod-index']"),
                      from_field("POD_IP", "status.podIP"), from_field("NODE_NAME", "spec.nodeName")});
}

Json unprivileged_pod() {
  return {{"runAsNonRoot", true},
          {"runAsUser", kServerUser},
          {"runAsGroup", kServerUser},
          {"fsGroup", kServerUser},
          {"fsGroupChangePolicy", "OnRootMismatch"},
          {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

Json locked_container() {
  return {{"allowPrivilegeEscalation", false},
          {"readOnlyRootFilesystem", true},
          {"capabilities", {{"drop", Json::array({"ALL"})}}}};
}

Json pod_resources(const PodResources& resources) {
  Json requests = Json::object(), limits = Json::object(), all = Json::object();
  add_amount(requests, "cpu", resources.cpu_request);
  add_amount(requests, "memory", resources.memory_request);
  add_amount(limits, "cpu", resources.cpu_limit);
  add_amount(limits, "memory", resources.memory_limit);
  if (!requests.empty()) all["requests"] = requests;
  if (!limits.empty()) all["limits"] = limits;
  return all;
}

Json on_distinct_hosts(const Json& selector, bool required) {
  const Json term = {{"topologyKey", "kubernetes.io/hostname"},
                     {"labelSelector", {{"matchLabels", selector}}}};
  if (required)
    return {{"podAntiAffinity", {{"requiredDuringSchedulingIgnoredDuringExecution", Json::array({term})}}}};
  const Json weighted = {{"weight", 100}, {"podAffinityTerm", term}};
  return {
      {"podAntiAffinity", {{"preferredDuringSchedulingIgnoredDuringExecution", Json::array({weighted})}}}};
}

Json tcp_probe(const std::string& port, int period_s, int failures) {
  return probe("tcpSocket", {{"port", port}}, period_s, failures);
}

Json http_probe(const std::string& port, const std::string& path, int period_s, int failures) {
  return probe("httpGet", {{"path", path}, {"port", port}}, period_s, failures);
}

Json named_ports(const std::vector<std::pair<const char*, int>>& ports) {
  Json list = Json::array();
  for (const auto& [name, number] : ports)
    list.push_back({{"name", name}, {"containerPort", number}, {"protocol", "TCP"}});
  return list;
}

Json service_ports(const std::vector<std::pair<const char*, int>>& ports) {
  Json list = Json::array();
  for (const auto& [name, number] : ports)
    list.push_back({{"name", name}, {"port", number}, {"targetPort", name}, {"protocol", "TCP"}});
  return list;
}

std::vector<std::string> option_flags(const std::map<std::string, std::string>& options) {
  std::vector<std::string> flags;
  for (const auto& [name, value] : options) {
    std::string flag = "--" + name + "=";
    for (const char c : value) flag += c == '$' ? "$$" : std::string(1, c);
    flags.push_back(flag);
  }
  return flags;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

std::string host_directory_class(const ClusterIdentity& cluster) {
  return "shima-host-directories-" + cluster.name_space;
}

Json claim_template(const ClusterIdentity& cluster, const std::string& component, const std::string& name,
                    const DataPlace& place, size_t disk) {
  const bool on_host = !place.host_path.empty();
  Json labels = object_labels(cluster, {component, ""});
  labels[kKeepLabel] = kKeepValue;
  const uint64_t bytes = on_host ? kNominalBytes : place.size_bytes;
  Json spec = {{"accessModes", Json::array({"ReadWriteOnce"})},
               {"volumeMode", "Filesystem"},
               {"resources", {{"requests", {{"storage", bytes_quantity(bytes)}}}}}};
  if (!place.storage_class.empty()) spec["storageClassName"] = place.storage_class;
  if (on_host) {
    spec["storageClassName"] = host_directory_class(cluster);
    Json wanted = pod_selector(cluster, {component, ""});
    wanted[kClusterNamespaceLabel] = cluster.name_space;
    wanted[kDiskLabel] = std::to_string(disk);
    spec["selector"] = {{"matchLabels", wanted}};
  }
  return {{"apiVersion", "v1"},
          {"kind", "PersistentVolumeClaim"},
          {"metadata", {{"name", name}, {"labels", labels}}},
          {"spec", spec}};
}

Json keep_on_node(const std::vector<DataPlace>& places) {
  const bool on_host = std::any_of(places.begin(), places.end(),
                                   [](const DataPlace& place) { return !place.host_path.empty(); });
  if (!on_host) return Json::object();
  return {{"cluster-autoscaler.kubernetes.io/safe-to-evict", "false"},
          {"karpenter.sh/do-not-disrupt", "true"}};
}

Json ownership_container(const ShimaClusterSpec& spec, const std::vector<DataPlace>& places,
                         const Json& mounts) {
  Json command = Json::array({"chown", std::to_string(kServerUser) + ":" + std::to_string(kServerUser)});
  for (size_t i = 0; i < places.size(); ++i)
    if (!places[i].host_path.empty()) command.push_back(mounts[i]["mountPath"]);
  if (command.size() == 2) return nullptr;
  Json security = locked_container();
  security["runAsNonRoot"] = false;
  security["runAsUser"] = 0;
  security["capabilities"]["add"] = Json::array({"CHOWN"});
  return {{"name", "own-the-directories"},
          {"image", spec.image},
          {"imagePullPolicy", spec.image_pull_policy},
          {"command", command},
          {"securityContext", security},
          {"volumeMounts", mounts}};
}

}  // namespace shima
