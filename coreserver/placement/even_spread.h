// Even spreads of groups over the servers of one site. PURE.
#pragma once

#include <cstddef>
#include <vector>

#include "coreserver/placement/placement.h"

namespace shima {

// One server a group, in turn: counts differ by 1 at most. Servers with more free space come first, then
// lower ids.
std::vector<ServerId> spread_evenly(std::vector<PlacementServer> servers, size_t groups);

struct Pair {
  ServerId primary;
  ServerId secondary;
};

// Two servers of different failure domains a group. Primaries are even; secondaries as even as the domains
// allow with these primaries. `servers` must have at least two failure domains.
std::vector<Pair> spread_pairs_evenly(std::vector<PlacementServer> servers, size_t groups);

}  // namespace shima
