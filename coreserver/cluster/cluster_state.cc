#include "coreserver/cluster/cluster_state.h"

#include <algorithm>
#include <set>

#include "common/status/status.h"

namespace shima {

std::string to_string(const NetworkEndpoint& e) {
  bool v6 = e.address.find(':') != std::string::npos;
  return (v6 ? "[" + e.address + "]" : e.address) + ":" + std::to_string(e.port);
}

const MemberInfo* GroupInfo::find(ServerId server) const {
  auto it =
      std::find_if(members.begin(), members.end(), [&](const MemberInfo& m) { return m.server == server; });
  return it == members.end() ? nullptr : &*it;
}

uint32_t VolumeInfo::data_groups() const {
  auto all = static_cast<uint32_t>(groups.size());
  return !groups.empty() && groups.back().metadata ? all - 1 : all;
}

bool VolumeInfo::has_member(ServerId server) const {
  return std::any_of(groups.begin(), groups.end(),
                     [&](const GroupInfo& g) { return g.find(server) != nullptr; });
}

std::vector<ServerId> VolumeInfo::member_servers() const {
  std::set<ServerId> servers;
  for (const GroupInfo& g : groups) {
    for (const MemberInfo& m : g.members) servers.insert(m.server);
  }
  return {servers.begin(), servers.end()};
}

const PublicationInfo* VolumeInfo::publication_of(const std::string& node) const {
  auto it = std::find_if(publications.begin(), publications.end(),
                         [&](const PublicationInfo& p) { return p.node == node; });
  return it == publications.end() ? nullptr : &*it;
}

replication::GroupConfig group_config_of(const VolumeInfo& volume, GroupIndex index) {
  SHIMA_CHECK(index.value < volume.groups.size(), "the volume has no such group");
  const GroupInfo& group = volume.groups[index.value];
  replication::GroupConfig config;
  config.version = volume.config_version;
  config.term = group.term;
  config.ack = volume.ack;
  config.full_secondary = group.metadata;
  for (const MemberInfo& m : group.members) {
    config.members.push_back({m.server, m.incarnation, m.role, m.whole, m.in_sync});
  }
  return config;
}

const ServerInfo* ClusterState::server_named(const std::string& name) const {
  for (const auto& [id, server] : servers) {
    if (server.name == name) return &server;
  }
  return nullptr;
}

const VolumeInfo* ClusterState::volume_with(VolumeId id) const {
  for (const auto& [name, volume] : volumes) {
    if (volume.id == id) return &volume;
  }
  return nullptr;
}

}  // namespace shima
