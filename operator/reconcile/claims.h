// PURE: which of several ShimaClusters has a namespace and nodes: the oldest one that asks for them.
//
// Older is the one with the earlier metadata.creationTimestamp, then the lesser uid. A younger one that is in
// the same namespace, or asks for a node or the CSI driver that an older one has, gets nothing, and says why;
// what it has made already stays as it is. So does one with a site of the same name: the node label
// topology.shima.io/site, by which pods choose their nodes, has only the site's name; and one whose records
// would be in an older one's etcd, under the same keys: both would be one cluster of Shima. A cluster whose
// spec cannot be read any more claims what the last one that could be read did; where none could, all that
// there is.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

// A ShimaCluster that stands for election.
struct Claimant {
  std::string name_space;
  std::string name;
  std::string uid;
  std::string created;             // RFC 3339
  std::vector<std::string> nodes;  // that are in its sites
  std::vector<std::string> sites;  // sorted
  std::vector<std::string> etcd;   // of spec.etcd.endpoints, to be compared, sorted; empty: an own one
  bool csi = false;                // wants the CSI driver, which one cluster can have
  bool claims_all = false;         // nobody knows what it asks for

  bool is_older_than(const Claimant& other) const;
};

// Threads: one at a time.
class ClaimReader {
 public:
  // `kept`: sites that the cluster has servers in.
  Claimant claimant_of(const nlohmann::json& cluster, const std::vector<NodeView>& nodes,
                       const std::vector<std::string>& kept);
  // Forgets clusters that are gone.
  void keep_only(const std::set<std::string>& uids);

 private:
  std::map<std::string, ShimaClusterSpec> readable_;  // the last spec that was, by uid
};

// Nodes of other clusters that keep `own` from them: of older ones that have what they ask for. A younger
// one, or one that is refused itself, has no node.
std::set<std::string> nodes_of_others(const Claimant& own, const std::vector<Claimant>& all);

// Sentences for people; empty: `own` has what it asks for. `all` may contain `own`.
std::vector<std::string> claimed_by_others(const Claimant& own, const std::vector<Claimant>& all);

}  // namespace shima
