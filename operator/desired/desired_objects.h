// PURE: from what was asked for and what is there to the Kubernetes objects that should be.
//
// Each object is complete as server-side apply wants it (apiVersion, kind, metadata.name, and namespace where
// there is one), has only fields that the operator owns, and bears the labels of object_labels.h. Same
// inputs, same objects in the same order: what others depend on first (accounts, policies, volumes of host
// directories, etcd, core servers, access servers, CSI). docs/decisions/0012-operator.md says why it is as it
// is.
//
// Who carries it out: an object that bears the cluster's labels and is not among `objects` is deleted, unless
// it has kKeepLabel, or is of etcd or a core server at a site that is not in `removed_sites`. StatefulSets of
// core servers and etcd are OnDelete: their pods are restarted by the operator, one at a time. A
// StorageClass, CSIDriver or ClusterRole of the same name with another cluster's labels is not taken away
// from it.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"
#include "operator/desired/site_map.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

struct DesiredCluster {
  SiteMap sites;  // who is where, and what is wrong with that
  std::vector<nlohmann::json> objects;
  std::map<std::string, nlohmann::json> node_patches;  // merge patches of Nodes, by name (node_labels.h)
  std::vector<std::string>
      refused;  // for people: what was asked for and is not done (scale down, ...), why, what to do
  // Of spec.topology.removedSites, those that are not used any more: servers with data go only from these.
  std::set<std::string> removed_sites;
  bool has_etcd = false;  // its own or another's; without one no server is among `objects`
};

// `cluster`: namespace, name and uid of the ShimaCluster.
DesiredCluster desired_objects(const ClusterIdentity& cluster, const ShimaClusterSpec& spec,
                               const std::vector<NodeView>& nodes, const ObservedCluster& observed);

}  // namespace shima
