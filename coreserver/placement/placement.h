// Placement: which core servers are the members of a volume's replica groups.
//
// For each group: a primary and a secondary in the home site, on servers of different failure domains, and
// one remote in each other site of the volume. Primaries, secondaries and each site's remotes are spread
// evenly over the live servers: the counts of two servers differ by 1 at most where the failure domains allow
// it; primaries and remotes always do.
//
// PURE: a function of its arguments, the same everywhere and every time. Free space only breaks ties.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/types/ids.h"

namespace shima {

inline constexpr uint32_t kMaxGroups = 1024;  // data groups of a volume; its metadata group comes on top

struct PlacementServer {
  ServerId id;
  std::string name;            // "site-a/core-0", for messages
  std::string failure_domain;  // what fails together: the host
  bool alive = false;
  uint64_t free_bytes = 0;
};

struct PlacementSite {
  std::string name;
  std::vector<PlacementServer> servers;
};

struct ClusterMap {
  std::vector<PlacementSite> sites;  // names are unique
};

struct VolumePolicy {
  uint32_t copies = 0;  // sites that hold the volume, the home among them
  std::vector<std::string>
      sites;  // exactly `copies` of them; or empty: the home and the first others by name
  std::string home;
  uint32_t groups = 0;  // all replica groups: 1 .. kMaxGroups + 1
};

struct RemoteMember {
  std::string site;
  ServerId server;
  bool operator==(const RemoteMember&) const = default;
};

struct GroupMembers {
  ServerId primary;
  ServerId secondary;
  std::vector<RemoteMember> remotes;  // in the order of the volume's sites
  bool operator==(const GroupMembers&) const = default;
};

// The sites of the volume, the home first. kInvalidArgument: no such home or site, more copies than sites, a
// site named twice, the home not among the sites. kFailedPrecondition: too few sites have a live server.
Result<std::vector<std::string>> choose_sites(const ClusterMap& map, const VolumePolicy& policy);

// The members of groups 0 .. W-1. Errors of choose_sites(), and kInvalidArgument: W out of bounds;
// kFailedPrecondition: a site without a live server, a home with live servers in fewer than two failure
// domains.
Result<std::vector<GroupMembers>> choose_members(const ClusterMap& map, const VolumePolicy& policy);

}  // namespace shima
