// The services of the control plane, for ControlServer: each decodes, asks the facade, and encodes.
#pragma once

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>

#include <memory>

#include "coreserver/rpc/server_facade.h"

namespace shima {

std::unique_ptr<grpc::Service> make_volume_service(ServerFacade& facade);
std::unique_ptr<grpc::Service> make_cluster_service(ServerFacade& facade);
std::unique_ptr<grpc::Service> make_replication_service(ServerFacade& facade);
std::unique_ptr<grpc::Service> make_stats_service(ServerFacade& facade);
std::unique_ptr<grpc::Service> make_disk_service(ServerFacade& facade);

// The answer to a call that failed, with the exact code in the trailing metadata.
grpc::Status refuse(grpc::ServerContext* context, const Status& error);

}  // namespace shima
