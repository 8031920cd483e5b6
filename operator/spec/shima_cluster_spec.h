// PURE: ShimaClusterSpec, the typed view of a ShimaCluster's spec
// (charts/shima-operator/crds/shimaclusters.yaml).
//
// The API server has checked the object against the CRD's schema and CEL rules; what is read here is checked
// again, since a cluster may run with an older CRD. Defaults are those of the CRD; a test compares them.
// Errors: kInvalidArgument with the field's path, what was wanted and what was found.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct ClusterIdentity {
  std::string name_space;
  std::string name;
  std::string uid;
};

struct SiteEntry {
  std::string name;
  std::map<std::string, std::string> match_labels;  // all must fit; not empty

  bool operator==(const SiteEntry&) const = default;
};

struct TopologySpec {
  std::string label = "topology.kubernetes.io/zone";  // ignored when `sites` is not empty
  std::vector<SiteEntry> sites;
  std::vector<std::string> removed_sites;  // sites that are gone for good: their objects are deleted

  bool operator==(const TopologySpec&) const = default;
};

// Where a pod's data is: exactly one of the two.
struct DataPlace {
  std::string host_path;      // directory of the host, made if missing; the pod stays on that host for ever
  std::string storage_class;  // of a PersistentVolumeClaim template; "" with size: the default class
  uint64_t size_bytes = 0;    // of the claim, at least 1 GiB

  bool operator==(const DataPlace&) const = default;
};

struct PodResources {  // texts of Kubernetes' quantities; empty: not said
  std::string cpu_request, memory_request, cpu_limit, memory_limit;

  bool operator==(const PodResources&) const = default;
};

struct CoreServersSpec {
  uint32_t per_site = 2;         // 2 to 64
  std::vector<DataPlace> disks;  // 1 to 16
  PodResources resources;
  std::map<std::string, std::string> node_selector;  // beside the site's
  nlohmann::json tolerations = nlohmann::json::array();
  std::map<std::string, std::string>
      options;  // more options of shima-coreserver, by name; checked against its declared ones

  bool operator==(const CoreServersSpec&) const = default;
};

struct AccessServersSpec {
  uint32_t per_site = 2;  // 0 to 64; 0: no NFS
  PodResources resources;
  std::map<std::string, std::string> options;

  bool operator==(const AccessServersSpec&) const = default;
};

struct EtcdSpec {
  std::vector<std::string> endpoints;  // HOST:PORT of one that exists; empty: an own one is made
  std::string image = "quay.io/coreos/etcd:v3.5.21";
  DataPlace data;  // needed by an own one; neither field is said with `endpoints`
  std::map<std::string, std::string> witness_selector;  // nodes for the third member of a two-site cluster
  std::vector<std::string> sites;  // that an own one's members are at; empty: chosen; 1 to 7, each once

  bool operator==(const EtcdSpec&) const = default;
};

struct StorageClassSpec {
  std::string name;
  bool is_default = false;
  std::string reclaim_policy = "Delete";
  std::map<std::string, std::string>
      parameters;  // of the CSI driver; checked against csi/controller/class_parameters

  bool operator==(const StorageClassSpec&) const = default;
};

struct CsiSpec {
  bool enabled = true;
  std::string kubelet_directory = "/var/lib/kubelet";
  std::map<std::string, std::string> sidecar_images = {
      {"attacher", "registry.k8s.io/sig-storage/csi-attacher:v4.12.0"},
      {"livenessprobe", "registry.k8s.io/sig-storage/livenessprobe:v2.16.0"},
      {"provisioner", "registry.k8s.io/sig-storage/csi-provisioner:v6.3.0"},
      {"registrar", "registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.14.0"},
      {"resizer", "registry.k8s.io/sig-storage/csi-resizer:v2.2.0"}};  // all five, always

  bool operator==(const CsiSpec&) const = default;
};

struct ShimaClusterSpec {
  std::string image = "shima/shima:0.1.0";  // has all of our programs
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets;  // of the ShimaCluster's namespace
  bool trial = false;  // one node is enough: servers share hosts, and one etcd member will do
  TopologySpec topology;
  CoreServersSpec core_servers;
  AccessServersSpec access_servers;
  EtcdSpec etcd;
  CsiSpec csi;
  std::vector<StorageClassSpec> storage_classes;

  bool operator==(const ShimaClusterSpec&) const = default;
};

// `spec` is the object's `spec`.
Result<ShimaClusterSpec> read_cluster_spec(const nlohmann::json& spec);

}  // namespace shima
