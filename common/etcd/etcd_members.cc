#include "common/etcd/etcd_members.h"

#include "common/etcd/etcd_channels.h"

namespace shima {
namespace {

using Repeat = EtcdChannels::Repeat;

EtcdMember member_from(const etcdserverpb::Member& m) {
  return {m.id(), m.name(), {m.peerurls().begin(), m.peerurls().end()}};
}

class GrpcEtcdMembership : public EtcdMembership {
 public:
  GrpcEtcdMembership(const std::vector<std::string>& targets, const EtcdOptions& options)
      : channels_(targets, options) {}

  Result<std::vector<EtcdMember>> list() override {
    etcdserverpb::MemberListRequest request;
    request.set_linearizable(true);
    etcdserverpb::MemberListResponse response;
    SHIMA_RETURN_IF_ERROR(call(Repeat::kHarmless, "a list of etcd's members",
                               [&](EtcdChannel& c, grpc::ClientContext& context) {
                                 return c.cluster->MemberList(&context, request, &response);
                               }));
    std::vector<EtcdMember> members;
    for (const auto& m : response.members()) members.push_back(member_from(m));
    return members;
  }

  Status remove(uint64_t id) override {
    etcdserverpb::MemberRemoveRequest request;
    request.set_id(id);
    etcdserverpb::MemberRemoveResponse response;
    return call(Repeat::kHarmful, "the removal of a member of etcd",
                [&](EtcdChannel& c, grpc::ClientContext& context) {
                  return c.cluster->MemberRemove(&context, request, &response);
                });
  }

  Result<EtcdMember> add(const std::string& peer_url) override {
    etcdserverpb::MemberAddRequest request;
    request.add_peerurls(peer_url);
    etcdserverpb::MemberAddResponse response;
    SHIMA_RETURN_IF_ERROR(call(Repeat::kHarmful, "the addition of a member of etcd",
                               [&](EtcdChannel& c, grpc::ClientContext& context) {
                                 return c.cluster->MemberAdd(&context, request, &response);
                               }));
    return member_from(response.member());
  }

 private:
  Status call(Repeat repeat, const std::string& what, const EtcdChannels::Call& call) {
    return channels_.attempt(repeat, what, channels_.options().call_timeout_ms, call);
  }

  EtcdChannels channels_;
};

}  // namespace

Result<std::unique_ptr<EtcdMembership>> EtcdMembership::connect(const std::vector<std::string>& endpoints,
                                                                EtcdOptions options) {
  Result<std::vector<std::string>> targets = etcd_targets(endpoints);
  if (!targets) return targets.status();
  return std::unique_ptr<EtcdMembership>(std::make_unique<GrpcEtcdMembership>(*targets, options));
}

}  // namespace shima
