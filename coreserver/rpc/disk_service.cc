#include "coreserver/cluster/record_protobuf.h"
#include "coreserver/rpc/services.h"
#include "shima/cluster/v1/disks.grpc.pb.h"

namespace shima {
namespace {

using namespace cluster::v1;  // NOLINT: the messages of this service

class DiskServiceImpl final : public DiskService::Service {
 public:
  explicit DiskServiceImpl(ServerFacade& facade) : facade_(facade) {}

  grpc::Status ListDisks(grpc::ServerContext* context, const ListDisksRequest*,
                         ListDisksReply* reply) override {
    auto servers = facade_.list_disks();
    if (!servers) return refuse(context, servers.status());
    for (const ServerDisks& disks : *servers) *reply->add_servers() = to_record(disks);
    return grpc::Status::OK;
  }

  grpc::Status ForgetDisk(grpc::ServerContext* context, const ForgetDiskRequest* request,
                          ForgetDiskReply* reply) override {
    auto forgotten = facade_.forget_disk(request->server(), request->disk_id());
    if (!forgotten) return refuse(context, forgotten.status());
    *reply->mutable_record() = to_record(forgotten->record);
    reply->set_was_forgotten(forgotten->was_forgotten);
    return grpc::Status::OK;
  }

 private:
  ServerFacade& facade_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_disk_service(ServerFacade& facade) {
  return std::make_unique<DiskServiceImpl>(facade);
}

}  // namespace shima
