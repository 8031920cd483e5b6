// What desired_objects() decides by: plain data, read from Kubernetes by operator/reconcile.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace shima {

// The part of a Node that counts (core/v1 Node).
struct NodeView {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<std::string> internal_addresses;  // status.addresses of type InternalIP
  bool ready = false;                           // condition Ready is True
  bool unschedulable = false;                   // cordoned
  bool out_of_service = false;                  // taint node.kubernetes.io/out-of-service
};

// Of the cluster's objects that are there already: what may not change any more, and what must not go.
struct ObservedCluster {
  std::map<std::string, uint32_t> core_servers_of_site;  // replicas of each shima-core-SITE, by site
  // By site, the witness: "". Of the record (etcd_record.h); read_observed() gives the replicas of each
  // shima-etcd-SITE, for where there is no record.
  std::map<std::string, uint32_t> etcd_members_of_site;
  std::set<std::string>
      api_kinds;  // optional ones the API server knows: "monitoring.coreos.com/v1/ServiceMonitor"
};

}  // namespace shima
