// PURE: what the pods of core servers, access servers and etcd have in common.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/object_labels.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

// User and group of servers that need no rights. Of nobody else: files on disks belong to it.
inline constexpr int kServerUser = 10700;

// POD_NAME, POD_INDEX, POD_IP and NODE_NAME, for $(...) in arguments. POD_INDEX needs Kubernetes 1.28.
nlohmann::json own_identity();
// Of a pod: kServerUser, no root, the runtime's own list of system calls.
nlohmann::json unprivileged_pod();
// Of a container: nothing to gain and nothing to write to.
nlohmann::json locked_container();
nlohmann::json pod_resources(const PodResources& resources);
// No two pods of `selector` on a host; `required` false: if it can be.
nlohmann::json on_distinct_hosts(const nlohmann::json& selector, bool required);
nlohmann::json tcp_probe(const std::string& port, int period_s, int failures);
nlohmann::json http_probe(const std::string& port, const std::string& path, int period_s, int failures);
nlohmann::json named_ports(const std::vector<std::pair<const char*, int>>& ports);    // of a container
nlohmann::json service_ports(const std::vector<std::pair<const char*, int>>& ports);  // of a Service

// --NAME=VALUE of each. Kubernetes leaves their dollars alone.
std::vector<std::string> option_flags(const std::map<std::string, std::string>& options);
std::string joined(const std::vector<std::string>& texts);  // with commas between

// A StatefulSet's volumeClaimTemplate. `disk`: which of the server's.
nlohmann::json claim_template(const ClusterIdentity& cluster, const std::string& component,
                              const std::string& name, const DataPlace& place, size_t disk);
// A container that gives directories of the host to kServerUser, which kubelet makes for root; null if no
// place is one.
nlohmann::json ownership_container(const ShimaClusterSpec& spec, const std::vector<DataPlace>& places,
                                   const nlohmann::json& mounts);
// Annotations of a pod: autoscalers are not to delete its node, if a place is a directory of it.
nlohmann::json keep_on_node(const std::vector<DataPlace>& places);
// A StorageClass of `cluster` for host directories.
std::string host_directory_class(const ClusterIdentity& cluster);

}  // namespace shima
