// The mounter's gRPC service over a MountKeeper: checks and bounds what comes in. Threads: any.
#pragma once

#include "csi/mounter/mount_keeper.h"
#include "shima/mounter/v1/mounter.grpc.pb.h"

namespace shima {

class MounterGrpcService final : public mounter::v1::MounterService::Service {
 public:
  explicit MounterGrpcService(MountKeeper& keeper) : keeper_(keeper) {}

  grpc::Status Start(grpc::ServerContext* context, const mounter::v1::StartRequest* request,
                     mounter::v1::StartReply* reply) override;
  grpc::Status Stop(grpc::ServerContext* context, const mounter::v1::StopRequest* request,
                    mounter::v1::StopReply* reply) override;
  grpc::Status List(grpc::ServerContext* context, const mounter::v1::ListRequest* request,
                    mounter::v1::ListReply* reply) override;
  grpc::Status Ping(grpc::ServerContext* context, const mounter::v1::PingRequest* request,
                    mounter::v1::PingReply* reply) override;

 private:
  MountKeeper& keeper_;
};

}  // namespace shima
