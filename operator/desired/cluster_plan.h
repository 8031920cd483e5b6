// PURE: what is decided before objects are written: the sites, how many servers each has, where etcd's
// members are.
//
// What may not change any more is taken from ObservedCluster: etcd's members stay where they are, and a site
// never gets fewer core servers than it has, since data cannot be moved yet.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"
#include "operator/desired/site_map.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

struct ClusterPlan {
  const ClusterIdentity& cluster;  // the caller's, like spec and nodes
  const ShimaClusterSpec& spec;
  const std::vector<NodeView>& nodes;
  const ObservedCluster& observed;
  SiteMap sites;
  std::map<std::string, uint32_t> core_servers;  // by site
  std::map<std::string, uint32_t>
      etcd_members;  // by site, the witness: ""; empty: etcd is somebody else's, or cannot be yet
  std::vector<std::string> refused;  // as DesiredCluster::refused
  bool nodes_are_labelled = false;   // and Kubernetes' controllers know of it
};

ClusterPlan plan_cluster(const ClusterIdentity& cluster, const ShimaClusterSpec& spec,
                         const std::vector<NodeView>& nodes, const ObservedCluster& observed);

// Nodes of a site that core servers may run on. Sorted.
std::vector<std::string> core_server_nodes(const ClusterPlan& plan, const std::string& site);
// Nodes that the members of a site may run on; "": the witness.
std::vector<std::string> etcd_nodes(const ClusterPlan& plan, const std::string& site);

// nodeSelector of a site's pods: by our label. A workload that was made to go by spec.topology.label goes on
// with that, so that no pod restarts for it: until its `image` changes, and its pods restart anyhow; a
// DaemonSet, whose `image` is empty here, only until its nodes are labelled. Before that its pods would go.
nlohmann::json site_selector(const ClusterPlan& plan, const std::string& site, const std::string& workload,
                             const std::string& image);

// HOST:PORT of etcd's members, the site's own first.
std::vector<std::string> etcd_endpoints(const ClusterPlan& plan, const std::string& site);
// HOST:PORT of control planes: some of the own site's first, then some of each other's. A few do, since all
// know everything, and the list of a large cluster does not change with each server. "": no site's first.
std::vector<std::string> control_endpoints(const ClusterPlan& plan, const std::string& site);
// The name of the StatefulSet and Service of a site's etcd members; "": the witness.
std::string etcd_name(const std::string& site);
// `address`: pod_address() of a member.
std::string etcd_peer_url(const std::string& address);

}  // namespace shima
