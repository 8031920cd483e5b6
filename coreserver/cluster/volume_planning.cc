#include "coreserver/cluster/volume_planning.h"

#include <algorithm>
#include <set>

#include "common/types/record.h"
#include "coreserver/cluster/records.h"
#include "coreserver/placement/placement.h"

namespace shima {
namespace {

using replication::Role;

ClusterMap map_of(const ClusterState& state) {
  ClusterMap map;
  for (const auto& [name, site] : state.sites) {
    PlacementSite place{name, {}};
    for (const auto& [id, server] : state.servers) {
      if (server.site != name) continue;
      place.servers.push_back(
          {id, server.name, server.failure_domain, server.alive, server.disk_total_bytes});
    }
    map.sites.push_back(std::move(place));
  }
  return map;
}

size_t live_failure_domains(const PlacementSite& site) {
  std::set<std::string> domains;
  for (const auto& server : site.servers) {
    if (server.alive) domains.insert(server.failure_domain);
  }
  return domains.size();
}

std::string default_home(const ClusterMap& map, const VolumeSpec& spec) {
  if (!spec.sites.empty()) return spec.sites.front();
  for (const PlacementSite& site : map.sites) {
    if (live_failure_domains(site) >= 2) return site.name;
  }
  return map.sites.empty() ? "" : map.sites.front().name;
}

uint32_t default_copies(const ClusterMap& map, const VolumeSpec& spec) {
  if (!spec.sites.empty()) return static_cast<uint32_t>(spec.sites.size());
  auto live = std::count_if(map.sites.begin(), map.sites.end(),
                            [](const auto& s) { return live_failure_domains(s) > 0; });
  return std::max(1u, std::min(kDefaultCopies, static_cast<uint32_t>(live)));
}

Status check_spec(const ClusterState& state, const VolumeSpec& spec) {
  SHIMA_RETURN_IF_ERROR(check_volume_name(spec.name));
  uint32_t size = spec.block_size;
  if (size < kMinBlockSize || size > kMaxBlockSize || (size & (size - 1)) != 0) {
    return {Code::kInvalidArgument, "found block size " + std::to_string(size) +
                                        ", wanted a power of two from 65536 (64 KiB) to 4194304 (4 MiB)"};
  }
  SHIMA_RETURN_IF_ERROR(check_labels(spec.labels));
  if (state.sites.empty()) {
    return {Code::kFailedPrecondition, "the cluster has no site yet; start core servers first"};
  }
  return Status::ok();
}

MemberInfo member(const ClusterState& state, ServerId id, Role role) {
  const ServerInfo& server = state.servers.at(id);
  return {id, server.incarnation, role, true, true, server.site};
}

}  // namespace

Result<VolumeInfo> plan_volume(const ClusterState& state, const VolumeSpec& spec) {
  SHIMA_RETURN_IF_ERROR(check_spec(state, spec));
  ClusterMap map = map_of(state);
  VolumePolicy policy;
  policy.sites = spec.sites;
  policy.copies = spec.copies != 0 ? spec.copies : default_copies(map, spec);
  policy.home = spec.home.empty() ? default_home(map, spec) : spec.home;
  if (spec.groups == 0 || spec.groups > kMaxGroups) {
    return Status(Code::kInvalidArgument, "volume " + spec.name + ": found " + std::to_string(spec.groups) +
                                              " data groups, wanted 1 to " + std::to_string(kMaxGroups));
  }
  policy.groups = spec.groups + 1;  // the last one is the metadata group
  Result<std::vector<std::string>> sites = choose_sites(map, policy);
  if (!sites) return sites.status().with_context("volume " + spec.name);
  Result<std::vector<GroupMembers>> members = choose_members(map, policy);
  if (!members) return members.status().with_context("volume " + spec.name);

  VolumeInfo volume;
  volume.name = spec.name;
  volume.home = policy.home;
  volume.sites = *sites;
  volume.ack = spec.ack;
  volume.block_size = spec.block_size;
  volume.size_bytes = spec.size_bytes;
  volume.max_inodes = spec.max_inodes;
  volume.published_only = spec.published_only;
  volume.labels = spec.labels;
  volume.config_version = ConfigVersion(1);
  for (const GroupMembers& chosen : *members) {
    GroupInfo group;
    group.index = GroupIndex(static_cast<uint32_t>(volume.groups.size()));
    group.term = Term(1);
    group.members.push_back(member(state, chosen.primary, Role::kPrimary));
    group.members.push_back(member(state, chosen.secondary, Role::kSecondary));
    for (const RemoteMember& remote : chosen.remotes)
      group.members.push_back(member(state, remote.server, Role::kRemote));
    volume.groups.push_back(std::move(group));
  }
  volume.groups.back().metadata = true;
  return volume;
}

}  // namespace shima
