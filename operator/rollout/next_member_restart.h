// PURE: which of the cluster's own etcd members restarts next in a rolling upgrade, or why none may.
//
// etcd answers while more than half of its members do. So one restarts only while all others are ready; and
// one that is not ready already before all others, since it holds nothing up and its new version may be what
// mends it; but not while one that was restarted just now may still become ready. A cluster of one member has
// no choice. Pods are restarted by deleting them (OnDelete).
//
// A member of a removed site stays one, since it cannot be moved. It is neither restarted nor waited for;
// while it is not there others restart only if more than half of all members, without them, are ready. Else
// they keep their version, and core servers go on.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "operator/rollout/next_restart.h"

namespace shima {

// `sets`, `pods`: etcd's, of all sites; the witness has the site "".
RolloutStep next_member_restart(const std::vector<CoreServerSet>& sets,
                                const std::vector<CoreServerPod>& pods,
                                const std::set<std::string>& removed_sites = {});

}  // namespace shima
