#include "accessserver/volume/grpc_layout.h"

#include <algorithm>
#include <map>

#include "coreserver/rpc/control_client.h"

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
  if (block == 0 || (block & (block - 1)) != 0 || record.groups().empty()) {
    return {Code::kCorrupt, "the record of volume " + name + " has block size " + std::to_string(block) +
                                " and " + std::to_string(record.groups_size()) +
                                " groups, which cannot be; is the server of another version?"};
  }
  for (int i = 0; i < record.groups_size(); ++i) {
    if (record.groups(i).index() == static_cast<uint32_t>(i) && !record.groups(i).members().empty()) continue;
    return {Code::kCorrupt, "the record of volume " + name + " does not name its group " + std::to_string(i) +
                                " with its members; is the server of another version?"};
  }
  return Status::ok();
}

Result<VolumeLayout> layout_of(const std::string& name, const volume::v1::GetVolumeReply& reply) {
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
  for (const auto& group : record.groups()) {
    GroupLayout& out = layout.groups.emplace_back();
    out.term = Term(group.term());
    for (const auto& member : group.members()) out.members.push_back(member_layout(member, servers));
    std::stable_partition(out.members.begin(), out.members.end(),
                          [](const MemberLayout& m) { return m.kind == MemberKind::kPrimary; });
  }
  return layout;
}

class GrpcLayoutSource final : public LayoutSource {
 public:
  explicit GrpcLayoutSource(const GrpcLayoutOptions& options)
      : client_({options.endpoints, options.timeout_ms, std::min(options.timeout_ms, 1500)}) {}

  Result<VolumeLayout> fetch(const std::string& name) override {
    volume::v1::GetVolumeRequest request;
    request.set_name(name);
    auto reply = client_.get_volume(request);
    if (!reply) return reply.status();
    return layout_of(name, *reply);
  }

 private:
  ControlClient client_;
};

}  // namespace

std::unique_ptr<LayoutSource> make_grpc_layout_source(const GrpcLayoutOptions& options) {
  return std::make_unique<GrpcLayoutSource>(options);
}

}  // namespace shima
