// A directory of a host is a PersistentVolume with the node's affinity: so a server that has written there
// comes back there. A plain hostPath volume would let two servers swap their hosts, and find each other's
// disk.
#include <algorithm>

#include "operator/desired/components.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/desired/pod_parts.h"
#include "operator/spec/quantity.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kNominalBytes = 1ull << 30;
constexpr size_t kMaxNameBytes = 200;

struct Directory {
  std::string component;
  std::string short_name;  // of the component
  size_t disk = 0;
  std::string path;
  std::string node;
  uint32_t slot = 0;  // of a node that several servers of a trial may share
  bool shared = false;
};

std::string volume_name(const ClusterIdentity& cluster, const Directory& directory) {
  const std::string head =
      "shima-" + cluster.name_space + "-" + directory.short_name + "-" + std::to_string(directory.disk) + "-";
  const std::string tail = directory.shared ? "-" + std::to_string(directory.slot) : "";
  if (head.size() + directory.node.size() + tail.size() <= kMaxNameBytes) return head + directory.node + tail;
  return head + content_hash(directory.node) + tail;
}

// Its own label, which need not be its name.
std::string host_name_of(const ClusterPlan& plan, const std::string& node) {
  for (const NodeView& view : plan.nodes) {
    if (view.name != node) continue;
    const auto label = view.labels.find("kubernetes.io/hostname");
    if (label != view.labels.end()) return label->second;
  }
  return node;
}

Json volume(const ClusterPlan& plan, const Directory& directory) {
  Json object = cluster_wide_object(plan.cluster, {"v1", "PersistentVolume"},
                                    volume_name(plan.cluster, directory), {directory.component, ""});
  Json& labels = object["metadata"]["labels"];
  labels[kKeepLabel] = kKeepValue;
  labels[kDiskLabel] = std::to_string(directory.disk);
  const std::string path = directory.path + (directory.shared ? "/" + std::to_string(directory.slot) : "");
  const Json host = {{"key", "kubernetes.io/hostname"},
                     {"operator", "In"},
                     {"values", Json::array({host_name_of(plan, directory.node)})}};
  const Json term = {{"matchExpressions", Json::array({host})}};
  object["spec"] = {{"capacity", {{"storage", bytes_quantity(kNominalBytes)}}},
                    {"accessModes", Json::array({"ReadWriteOnce"})},
                    {"volumeMode", "Filesystem"},
                    {"persistentVolumeReclaimPolicy", "Retain"},
                    {"storageClassName", host_directory_class(plan.cluster)},
                    {"hostPath", {{"path", path}, {"type", "DirectoryOrCreate"}}},
                    {"nodeAffinity", {{"required", {{"nodeSelectorTerms", Json::array({term})}}}}}};
  return object;
}

Json storage_class(const ClusterPlan& plan) {
  Json object = cluster_wide_object(plan.cluster, {"storage.k8s.io/v1", "StorageClass"},
                                    host_directory_class(plan.cluster), {});
  object["provisioner"] = "kubernetes.io/no-provisioner";
  object["volumeBindingMode"] = "WaitForFirstConsumer";  // all disks of a server on the host that it gets
  object["reclaimPolicy"] = "Retain";
  return object;
}

void add_for_nodes(const ClusterPlan& plan, Directory directory, const std::vector<std::string>& nodes,
                   uint32_t slots, Objects& objects) {
  directory.shared = plan.spec.trial;
  for (const std::string& node : nodes) {
    directory.node = node;
    for (directory.slot = 0; directory.slot < (directory.shared ? slots : 1); ++directory.slot)
      objects.push_back(volume(plan, directory));
  }
}

}  // namespace

Objects host_directory_objects(const ClusterPlan& plan) {
  Objects objects;
  for (const auto& [site, count] : plan.etcd_members)
    if (!plan.spec.etcd.data.host_path.empty())
      add_for_nodes(plan, {kEtcdComponent, "etcd", 0, plan.spec.etcd.data.host_path}, etcd_nodes(plan, site),
                    count, objects);
  for (const auto& [site, count] : plan.core_servers) {
    for (size_t i = 0; i < plan.spec.core_servers.disks.size(); ++i) {
      const std::string& path = plan.spec.core_servers.disks[i].host_path;
      if (!path.empty())
        add_for_nodes(plan, {kCoreComponent, "core", i, path}, core_server_nodes(plan, site), count, objects);
    }
  }
  if (!objects.empty()) objects.insert(objects.begin(), storage_class(plan));
  return objects;
}

}  // namespace shima
