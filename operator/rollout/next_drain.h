// PURE: where `kubectl drain` may take a core server away, or what it waits for.
//
// A drain evicts all pods of a cordoned node at once. Did the core server go with the first, VMs of that node
// could not finish their last writes, and so could not leave. So the PodDisruptionBudget of a site's core
// servers lets nobody go at rest, and one server go only while a cordoned node of the site that has a core
// server has no publication left, and a core server may be taken away as for a rolling upgrade
// (next_restart.h). It cannot tell one node's server from another's: of nodes that are drained at the same
// time the wrong one's may go first. The budget of one site of the cluster is open at a time: a volume's
// copies are on servers of several.
//
// An autoscaler drains a node to delete its machine. Where core servers' disks are directories of it, the
// budget of their site stays shut, also for other nodes of the site.
#pragma once

#include <string>
#include <vector>

namespace shima {

struct CordonedNode {
  std::string name;
  std::string site;                  // of its core servers
  std::vector<std::string> servers;  // SITE/core-N, that run on it; at least one
  std::vector<std::string> volumes;  // that are published to it
  bool volumes_known = false;        // as they were listed after it was cordoned
  bool takes_disks_along = false;    // an autoscaler wants to delete it, and the servers' disks are on it
};

struct DrainStep {
  std::string open_site;          // whose budget lets one core server go; empty: none's does
  std::vector<std::string> told;  // for people: a sentence for each node
  // The first of them that core servers' restarts wait for; empty: none. A machine that is to be deleted is
  // no drain while the budget is shut, and may be marked for ever.
  std::string holds_restarts;
};

// `obstacle`: why no core server may be taken away now; empty: one may. `open_site`: of the last step.
// `may_open`: whether one that is not open may be opened: no other one was a moment ago.
DrainStep next_drain(const std::vector<CordonedNode>& nodes, const std::string& obstacle,
                     const std::string& open_site, bool may_open);

}  // namespace shima
