// PURE: what every object of a ShimaCluster bears: labels that say whose it is, and mostly an owner.
//
// The operator deletes what bears the first three labels and is not wanted any more, but never what has
// kKeepLabel: that stands for data.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "operator/spec/shima_cluster_spec.h"

namespace shima {

inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by",
                      kManagedByValue[] = "shima-operator";
inline constexpr char kClusterLabel[] = "shima.io/cluster";
inline constexpr char kClusterNamespaceLabel[] = "shima.io/cluster-namespace";
inline constexpr char kComponentLabel[] = "app.kubernetes.io/component";
inline constexpr char kSiteLabel[] = "shima.io/site";
inline constexpr char kKeepLabel[] = "shima.io/keep", kKeepValue[] = "data";
inline constexpr char kDiskLabel[] =
    "shima.io/disk";  // of a host directory's PersistentVolume: which of the server's

// Values of kComponentLabel.
inline constexpr char kCoreComponent[] = "core-server", kAccessComponent[] = "access-server",
                      kEtcdComponent[] = "etcd";
inline constexpr char kCsiControllerComponent[] = "csi-controller", kCsiNodeComponent[] = "csi-node";
inline constexpr char kCsiMounterComponent[] = "csi-mounter";

struct ObjectKind {
  const char* api_version;
  const char* kind;
};

// Empty: of the whole cluster.
struct Part {
  std::string component;
  std::string site;
};

nlohmann::json object_labels(const ClusterIdentity& cluster, const Part& part);
// Those of a part's pods that never change: what selectors name. Without a site: the pods of all sites.
nlohmann::json pod_selector(const ClusterIdentity& cluster, const Part& part);

nlohmann::json namespaced_object(const ClusterIdentity& cluster, const ObjectKind& kind,
                                 const std::string& name, const Part& part);
// Without an owner: Kubernetes deletes what is owned together with its ShimaCluster, and in a foreground
// deletion before any finalizer is asked. So is all that volumes, their mounts and their claims live by;
// the operator itself deletes it.
nlohmann::json lasting_object(const ClusterIdentity& cluster, const ObjectKind& kind, const std::string& name,
                              const Part& part);
// Without an owner: the cluster is in a namespace, and could not be one.
nlohmann::json cluster_wide_object(const ClusterIdentity& cluster, const ObjectKind& kind,
                                   const std::string& name, const Part& part);

}  // namespace shima
