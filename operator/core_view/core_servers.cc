#include "operator/core_view/core_servers.h"

#include <map>

#include "coreserver/rpc/control_client.h"

namespace shima {
namespace {

constexpr int kConnectMs = 700;
constexpr int kCallMs = 3000;       // over all endpoints
constexpr int kUnpublishMs = 1000;  // on top; who gets no answer in time asks again
constexpr int kShowMs = 1000;
constexpr int kStatsMs = 2500;  // a server waits 2 s for its shards
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
    replication::v1::ShowGroupsRequest request;
    request.set_volume(volume);
    return kept(show_, endpoint, kShowMs).show_groups(request);
  }

  Result<stats::v1::GetStatsReply> get_stats(const std::string& endpoint) override {
    return kept(stats_, endpoint, kStatsMs).get_stats({});
  }

 private:
  using Clients = std::map<std::string, std::unique_ptr<ControlClient>>;  // by endpoint

  // So that connections are kept.
  static ControlClient& kept(Clients& clients, const std::string& endpoint, int call_ms) {
    if (clients.size() >= kMaxKeptClients && !clients.contains(endpoint)) clients.clear();
    auto& client = clients.try_emplace(endpoint, nullptr).first->second;
    if (!client)
      client = std::make_unique<ControlClient>(ControlClientOptions{{endpoint}, call_ms, kConnectMs});
    return *client;
  }

  ControlClient any_;
  Clients show_, stats_;
};

}  // namespace

std::unique_ptr<CoreServers> make_core_servers(const std::vector<std::string>& endpoints) {
  return std::make_unique<GrpcCoreServers>(endpoints);
}

}  // namespace shima
