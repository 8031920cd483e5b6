#include "coreserver/rpc/services.h"
#include "shima/stats/v1/stats.grpc.pb.h"

namespace shima {
namespace {

using namespace stats::v1;  // NOLINT: the messages of this service

void encode_statistic(const shima::Statistic& statistic, stats::v1::Statistic& out) {
  out.set_name(statistic.name);
  out.set_unit(statistic.unit);
  out.set_value(statistic.value);
}

class StatsServiceImpl final : public StatsService::Service {
 public:
  explicit StatsServiceImpl(ServerFacade& facade) : facade_(facade) {}

  grpc::Status GetStats(grpc::ServerContext* context, const GetStatsRequest*, GetStatsReply* reply) override {
    auto stats = facade_.stats();
    if (!stats) return refuse(context, stats.status());
    reply->set_server(facade_.server_name());
    reply->set_incarnation(facade_.incarnation().value);
    reply->set_uptime_ms(stats->uptime_ms);
    for (const shima::Statistic& value : stats->values) encode_statistic(value, *reply->add_values());
    for (const DiskStatistics& disk : stats->disks) {
      auto& out = *reply->add_disks();
      out.set_path(disk.path);
      out.set_total_bytes(disk.total_bytes);
      out.set_free_bytes(disk.free_bytes);
      out.set_file_system(disk.file_system);
      for (const shima::Statistic& value : disk.values) encode_statistic(value, *out.add_values());
    }
    return grpc::Status::OK;
  }

 private:
  ServerFacade& facade_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_stats_service(ServerFacade& facade) {
  return std::make_unique<StatsServiceImpl>(facade);
}

}  // namespace shima
