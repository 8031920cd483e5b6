#include "operator/core_view/core_servers.h"

#include <map>

#include "coreserver/rpc/control_client.h"

namespace shima {
namespace {

constexpr int kConnectMs = 700;
constexpr int kCallMs = 3000;       // over all endpoints
constexpr int kUnpublishMs = 1000;  // on top; who gets no answer in time asks again
constexpr int kShowMs = 1000;
constexpr size_t kMaxKeptClients = 256;

template <typename Repeated>
auto as_vector(const Repeated& items) {
  return std::vector<typename Repeated::value_type>(items.begin(), items.end());
}

class GrpcCoreServers final : public CoreServers {
 public:
  explicit GrpcCoreServers(const std::vector<std::string>& endpoints)
      : any_({endpoints, kCallMs, kConnectMs}) {}

  Result<cluster::v1::GetStatusReply> get_status() override { return any_.get_status({}); }

  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    auto reply = any_.list_volumes({});
    if (!reply) return reply.status();
    return as_vector(reply->volumes());
  }

  Result<std::vector<cluster::v1::ServerState>> list_servers() override {
    auto reply = any_.list_servers({});
    if (!reply) return reply.status();
    return as_vector(reply->servers());
  }

  Status unpublish(const std::string& volume, const std::string& node) override {
    volume::v1::UnpublishRequest request;
    request.set_name(volume);
    request.set_node(node);
    request.set_timeout_ms(kUnpublishMs);
    return any_.unpublish(request).status();
  }

  Result<replication::v1::ShowGroupsReply> show_groups(const std::string& endpoint,
                                                       const std::string& volume) override {
    if (one_.size() >= kMaxKeptClients && !one_.contains(endpoint)) one_.clear();
    auto& client = one_.try_emplace(endpoint, nullptr).first->second;
    if (!client)
      client = std::make_unique<ControlClient>(ControlClientOptions{{endpoint}, kShowMs, kConnectMs});
    replication::v1::ShowGroupsRequest request;
    request.set_volume(volume);
    return client->show_groups(request);
  }

 private:
  ControlClient any_;
  std::map<std::string, std::unique_ptr<ControlClient>> one_;  // by endpoint, so that connections are kept
};

}  // namespace

std::unique_ptr<CoreServers> make_core_servers(const std::vector<std::string>& endpoints) {
  return std::make_unique<GrpcCoreServers>(endpoints);
}

}  // namespace shima
