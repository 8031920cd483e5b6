// PURE: which nodes may go to another site now, and what holds the others.
//
// The label topology.shima.io/site decides which pods run on a node: with it go the node plug-in and the
// mounter, and all FUSE mounts of the node end. So it changes only where nothing of ours is in use.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "operator/desired/site_map.h"

namespace shima {

// What of ours is in use, by node.
struct NodeUse {
  std::map<std::string, std::vector<std::string>> servers;  // "pod shima-core-a-0": pods and bound disks
  std::map<std::string, size_t> attachments;                // volumes of ours that are attached, or published
  std::string attachments_unknown;  // for people: why nobody knows of these; empty: they are known
};

struct MoveDecision {
  std::map<std::string, NodeMove> now;  // nothing holds these
  // For people, a sentence a node: from where to where it would move, and what holds it.
  std::vector<std::string> waiting;
};

// `removed_sites`: spec.topology.removedSites: servers of these are to go, and hold nothing.
MoveDecision decide_moves(const SiteMap& sites, const std::vector<std::string>& removed_sites,
                          const NodeUse& use);

}  // namespace shima
