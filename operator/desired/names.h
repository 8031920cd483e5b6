// PURE: names of the objects that a ShimaCluster makes, addresses of its servers by DNS, and their ports.
//
// shima-COMPONENT-SITE; where the site's name is too long for a pod's name behind it, it is cut and gets a
// hash of the whole. The names of two sites never give the same object name.
#pragma once

#include <cstdint>
#include <string>

namespace shima {

// A StatefulSet's name and 11 more characters must fit into a label (its pods' controller-revision-hash).
inline constexpr size_t kMaxObjectNameBytes = 52;

inline constexpr uint16_t kControlPort = 7000, kClientPort = 7001, kStoragePort = 7002, kWanPort = 7003;
inline constexpr uint16_t kCoreMetricsPort = 7004;
inline constexpr uint16_t kNfsPort = 2049, kAccessMetricsPort = 7049;
inline constexpr uint16_t kEtcdClientPort = 2379, kEtcdPeerPort = 2380, kEtcdMetricsPort = 2381;
inline constexpr uint16_t kCsiControllerMetricsPort = 9810;

inline constexpr char kWitnessName[] =
    "shima-witness";  // of the third etcd member of two sites; no component's name

// `component`: core, access, etcd, csi-node, csi-mounter.
std::string object_name(const std::string& component, const std::string& site);
// Of StatefulSet and Service `name`'s pod. Without the cluster's domain, which resolv.conf adds in pods.
std::string pod_address(const std::string& name, uint32_t ordinal, const std::string& name_space);
std::string service_address(const std::string& name, const std::string& name_space);
// Of objects without a namespace: shima:NAMESPACE:WHAT.
std::string cluster_wide_name(const std::string& name_space, const std::string& what);

// The first digits of the sha256 of `text`.
std::string content_hash(const std::string& text, size_t digits = 16);

}  // namespace shima
