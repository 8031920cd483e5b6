// What desired_objects() decides by: plain data, read from Kubernetes by operator/reconcile.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace shima {

struct NodeTaint {
  std::string key;
  std::string value;
  std::string effect;  // "NoSchedule"
};

// The part of a Node that counts (core/v1 Node).
struct NodeView {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<std::string> internal_addresses;  // status.addresses of type InternalIP
  std::vector<NodeTaint> taints;
  bool ready = false;           // condition Ready is True
  bool unschedulable = false;   // cordoned
  bool to_be_deleted = false;   // an autoscaler takes the machine away: it says so by a taint
  bool out_of_service = false;  // taint node.kubernetes.io/out-of-service
};

// Somebody says that it is gone, and it is not heard of: a taint may be left over from another time.
inline bool is_lost(const NodeView& node) { return node.out_of_service && !node.ready; }

// Of the cluster's objects that are there already: what may not change any more, and what must not go.
struct ObservedCluster {
  std::map<std::string, uint32_t> core_servers_of_site;  // replicas of each shima-core-SITE, by site
  // By site, the witness: "". Of the record (etcd_record.h); read_observed() gives the replicas of each
  // shima-etcd-SITE, for where there is no record.
  std::map<std::string, uint32_t> etcd_members_of_site;
  // Of each site's Service for NFS, by the Service's name: the address that it has, or had
  // (access_addresses.h).
  std::map<std::string, std::string> access_addresses;
  // Workloads whose pods still choose their nodes by spec.topology.label itself, as operators made them that
  // did not write the site's label there: the image that they run, by name.
  std::map<std::string, std::string> by_topology_label;
  std::set<std::string> daemons_by_topology_label;  // sites with such DaemonSets
  // Nodes have borne their sites' labels for long enough that Kubernetes' controllers know of it.
  bool labels_have_settled = false;
  // Whose core servers' budget lets one of them be evicted (operator/rollout/next_drain.h); empty: none's.
  std::string draining_site;
  // Of the operator itself; empty where it does not run in Kubernetes, or nobody told it.
  std::string operator_image;
  std::string operator_namespace;
  std::set<std::string>
      api_kinds;  // optional ones the API server knows: "monitoring.coreos.com/v1/ServiceMonitor"
};

}  // namespace shima
