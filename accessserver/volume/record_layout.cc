#include "accessserver/volume/record_layout.h"

#include <algorithm>
#include <map>

namespace shima {
namespace {

using ServersById = std::map<uint64_t, const cluster::v1::ServerRecord*>;

MemberKind kind_of(cluster::v1::MemberRole role) {
  switch (role) {
    case cluster::v1::MEMBER_ROLE_PRIMARY:
      return MemberKind::kPrimary;
    case cluster::v1::MEMBER_ROLE_SECONDARY:
      return MemberKind::kSecondary;
    default:
      return MemberKind::kRemote;
  }
}

MemberLayout member_layout(const cluster::v1::Member& member, const ServersById& servers) {
  MemberLayout layout;
  layout.server = ServerId(member.server_id());
  layout.site = member.site();
  layout.kind = kind_of(member.role());
  if (auto known = servers.find(member.server_id()); known != servers.end()) {
    const auto& client = known->second->networks().client();
    layout.server_name = known->second->name();
    layout.host = client.address();
    layout.port = static_cast<uint16_t>(client.port());
  }
  return layout;
}

Status check(const std::string& name, const cluster::v1::VolumeRecord& record) {
  const uint32_t block = record.block_size();
  const bool has_data_groups = !record.groups().empty() && !record.groups(0).metadata();
  if (block == 0 || (block & (block - 1)) != 0 || !has_data_groups) {
    return {Code::kCorrupt,
            "the record of volume " + name + " has block size " + std::to_string(block) + " and " +
                std::to_string(record.groups_size()) +
                " groups, the first of which is to be one of data; is the server of another version?"};
  }
  for (int i = 0; i < record.groups_size(); ++i) {
    const auto& group = record.groups(i);
    const bool in_place = !group.metadata() || i == record.groups_size() - 1;
    if (in_place && group.index() == static_cast<uint32_t>(i) && !group.members().empty()) continue;
    return {Code::kCorrupt, "the record of volume " + name + " does not name its group " + std::to_string(i) +
                                " with its members, data groups first; is the server of another version?"};
  }
  return Status::ok();
}

GroupLayout group_layout(const cluster::v1::Group& group, const ServersById& servers) {
  GroupLayout layout;
  layout.term = Term(group.term());
  for (const auto& member : group.members()) layout.members.push_back(member_layout(member, servers));
  std::stable_partition(layout.members.begin(), layout.members.end(),
                        [](const MemberLayout& m) { return m.kind == MemberKind::kPrimary; });
  return layout;
}

}  // namespace

Result<VolumeLayout> layout_of_record(const std::string& name, const volume::v1::GetVolumeReply& reply) {
  const auto& record = reply.record();
  SHIMA_RETURN_IF_ERROR(check(name, record));
  if (record.deleting()) return {Code::kNotFound, "volume " + name + " is being deleted"};
  ServersById servers;
  for (const auto& server : reply.servers()) servers[server.server_id()] = &server;
  VolumeLayout layout;
  layout.name = record.name();
  layout.volume = VolumeId(record.volume_id());
  layout.config_version = ConfigVersion(record.config_version());
  layout.home = record.home();
  layout.sites.assign(record.sites().begin(), record.sites().end());
  layout.ack = record.ack() == cluster::v1::ACK_MODE_ALL ? AckPolicy::kAll : AckPolicy::kLocal;
  layout.block_size = record.block_size();
  layout.size_bytes = record.size_bytes();
  layout.max_inodes = record.max_inodes();
  layout.life = record.life();
  layout.published_only = record.published_only();
  for (const auto& publication : record.publications()) layout.publications.push_back(publication.id());
  for (const auto& group : record.groups()) {
    if (group.metadata()) {
      layout.has_metadata = true;
      layout.metadata = group_layout(group, servers);
    } else {
      layout.groups.push_back(group_layout(group, servers));
    }
  }
  return layout;
}

}  // namespace shima
