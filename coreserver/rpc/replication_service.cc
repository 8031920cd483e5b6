#include "coreserver/rpc/services.h"
#include "shima/replication/v1/replication.grpc.pb.h"

namespace shima {
namespace {

using namespace replication::v1;  // NOLINT: the messages of this service

cluster::v1::MemberRole encode_role(replication::Role role) {
  switch (role) {
    case replication::Role::kPrimary:
      return cluster::v1::MEMBER_ROLE_PRIMARY;
    case replication::Role::kSecondary:
      return cluster::v1::MEMBER_ROLE_SECONDARY;
    case replication::Role::kRemote:
      return cluster::v1::MEMBER_ROLE_REMOTE;
    case replication::Role::kNone:
      break;
  }
  return cluster::v1::MEMBER_ROLE_UNSPECIFIED;
}

void encode_position(Position position, LogPosition& out) {
  out.set_term(position.term.value);
  out.set_sequence(position.sequence.value);
}

void encode_member(const MemberReport& member, MemberState& out) {
  out.set_server_id(member.server.value);
  out.set_site(member.site);
  out.set_role(encode_role(member.role));
  out.set_connected(member.connected);
  out.set_whole(member.whole);
  out.set_in_sync(member.in_sync);
  encode_position(member.durable, *out.mutable_durable());
  out.set_lag_bytes(member.lag_bytes);
  out.set_lag_seconds(member.lag_seconds);
}

void encode_group(const GroupReport& group, GroupState& out) {
  out.set_index(group.index.value);
  out.set_role(encode_role(group.role));
  out.set_term(group.term.value);
  out.set_serving(group.serving);
  out.set_state(group.state);
  encode_position(group.last, *out.mutable_last());
  encode_position(group.committed, *out.mutable_committed());
  encode_position(group.durable, *out.mutable_durable());
  encode_position(group.applied, *out.mutable_applied());
  encode_position(group.trimmed, *out.mutable_trimmed());
  out.set_journal_bytes(group.journal_bytes);
  out.set_block_bytes(group.block_bytes);
  for (const MemberReport& member : group.members) encode_member(member, *out.add_members());
}

class ReplicationServiceImpl final : public ReplicationService::Service {
 public:
  explicit ReplicationServiceImpl(ServerFacade& facade) : facade_(facade) {}

  grpc::Status ShowGroups(grpc::ServerContext* context, const ShowGroupsRequest* request,
                          ShowGroupsReply* reply) override {
    auto groups = facade_.show_groups(request->volume());
    if (!groups) return refuse(context, groups.status());
    reply->set_server(facade_.server_name());
    reply->set_site(facade_.site_name());
    reply->set_server_id(facade_.server_id().value);
    for (const GroupReport& group : *groups) encode_group(group, *reply->add_groups());
    return grpc::Status::OK;
  }

 private:
  ServerFacade& facade_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_replication_service(ServerFacade& facade) {
  return std::make_unique<ReplicationServiceImpl>(facade);
}

}  // namespace shima
