// PURE: which of several ShimaClusters has a namespace and nodes: the oldest one that asks for them.
//
// Older is the one with the earlier metadata.creationTimestamp, then the lesser uid. A younger one that is in
// the same namespace, or asks for a node or the CSI driver that an older one has, gets nothing, and says why;
// what it has made already stays as it is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/inputs.h"

namespace shima {

// A ShimaCluster that stands for election. A cluster whose spec cannot be read has no nodes.
struct Claimant {
  std::string name_space;
  std::string name;
  std::string uid;
  std::string created;             // RFC 3339
  std::vector<std::string> nodes;  // that are in its sites
  bool csi = false;                // wants the CSI driver, which one cluster can have

  bool is_older_than(const Claimant& other) const;
};

Claimant claimant_of(const nlohmann::json& cluster, const std::vector<NodeView>& nodes);

// Sentences for people; empty: `own` has what it asks for. `all` may contain `own`.
std::vector<std::string> claimed_by_others(const Claimant& own, const std::vector<Claimant>& all);

}  // namespace shima
