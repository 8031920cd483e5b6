// PURE: which of the cluster's own etcd members restarts next in a rolling upgrade, or why none may.
//
// etcd answers while more than half of its members do. So one restarts only while all others are ready; and
// one that is not ready already before all others, since it holds nothing up and its new version may be what
// mends it; but not while one that was restarted just now may still become ready. A cluster of one member has
// no choice. Pods are restarted by deleting them (OnDelete).
#pragma once

#include <vector>

#include "operator/rollout/next_restart.h"

namespace shima {

// `sets`, `pods`: etcd's, of all sites; the witness has the site "".
RolloutStep next_member_restart(const std::vector<CoreServerSet>& sets,
                                const std::vector<CoreServerPod>& pods);

}  // namespace shima
