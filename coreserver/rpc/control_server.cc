#include "coreserver/rpc/control_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <vector>

#include "coreserver/rpc/services.h"
#include "coreserver/rpc/status_codes.h"

namespace shima {

grpc::Status refuse(grpc::ServerContext* context, const Status& error) {
  context->AddTrailingMetadata(kCodeMetadataKey, std::to_string(static_cast<int>(error.code())));
  return to_grpc_status(error);
}

class ControlServer::Impl {
 public:
  explicit Impl(ServerFacade& facade) {
    services_.push_back(make_volume_service(facade));
    services_.push_back(make_cluster_service(facade));
    services_.push_back(make_replication_service(facade));
    services_.push_back(make_stats_service(facade));
    services_.push_back(make_disk_service(facade));
  }

  Status start(const std::string& address, uint16_t port) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxControlMessageBytes);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
    builder.SetResourceQuota(grpc::ResourceQuota("control").SetMaxThreads(kMaxThreads));
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // two servers on one port: refused, not shared
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
    const bool v6 = address.find(':') != std::string::npos;
    const std::string where = (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
    int bound = 0;
    builder.AddListeningPort(where, grpc::InsecureServerCredentials(), &bound);
    for (auto& service : services_) builder.RegisterService(service.get());
    server_ = builder.BuildAndStart();
    if (!server_ || bound == 0) {
      return {Code::kUnavailable,
              "the control plane wanted to listen on " + where +
                  ", which is not possible: the port is taken or the address is not of this host; "
                  "change networks.client.address or control_port"};
    }
    port_ = static_cast<uint16_t>(bound);
    return Status::ok();
  }

  void stop() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    server_->Wait();
    server_.reset();
  }

  uint16_t port() const { return port_; }

 private:
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  uint16_t port_ = 0;
};

Result<std::unique_ptr<ControlServer>> ControlServer::start(ServerFacade& facade, const std::string& address,
                                                            uint16_t port) {
  auto impl = std::make_unique<Impl>(facade);
  SHIMA_RETURN_IF_ERROR(impl->start(address, port));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() { stop(); }
uint16_t ControlServer::port() const { return impl_->port(); }
void ControlServer::stop() { impl_->stop(); }

}  // namespace shima
