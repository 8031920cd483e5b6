#include "csi/mounter/mounter_service.h"

#include <algorithm>

#include "coreserver/rpc/status_codes.h"

namespace shima {
namespace {

constexpr uint32_t kStartMs = 30'000, kMostStartMs = 120'000;
constexpr uint32_t kStopMs = 10'000, kMostStopMs = 60'000;

uint32_t bounded(uint32_t wanted_ms, uint32_t default_ms, uint32_t most_ms) {
  return wanted_ms == 0 ? default_ms : std::min(wanted_ms, most_ms);
}

void fill(const KeptMount& mount, mounter::v1::Mount& out) {
  out.set_path(mount.record.path);
  out.set_volume(mount.record.volume);
  out.set_read_only(mount.record.read_only);
  out.set_node(mount.record.node);
  out.set_publication(mount.record.publication);
  out.set_pid(mount.record.process.pid);
  out.set_running(mount.running);
  out.set_connection(mount.running ? mount.record.connection : 0);
  out.set_exit_code(mount.exit_code);
  out.set_log_end(mount.log_end);
  out.set_since_ms(mount.record.since_ms);
}

}  // namespace

grpc::Status MounterGrpcService::Start(grpc::ServerContext*, const mounter::v1::StartRequest* request,
                                       mounter::v1::StartReply* reply) {
  MountRecord wanted;
  wanted.path = request->path();
  wanted.volume = request->volume();
  wanted.read_only = request->read_only();
  wanted.node = request->node();
  wanted.publication = request->publication();
  auto mount = keeper_.start(wanted, bounded(request->timeout_ms(), kStartMs, kMostStartMs));
  if (!mount) return to_grpc_status(mount.status());
  fill(*mount, *reply->mutable_mount());
  return grpc::Status::OK;
}

grpc::Status MounterGrpcService::Stop(grpc::ServerContext*, const mounter::v1::StopRequest* request,
                                      mounter::v1::StopReply* reply) {
  auto stopped = keeper_.stop(request->path(), bounded(request->timeout_ms(), kStopMs, kMostStopMs));
  if (!stopped) return to_grpc_status(stopped.status());
  reply->set_aborted(stopped->aborted);
  reply->set_exit_code(stopped->exit_code);
  reply->set_log_end(stopped->log_end);
  return grpc::Status::OK;
}

grpc::Status MounterGrpcService::List(grpc::ServerContext*, const mounter::v1::ListRequest*,
                                      mounter::v1::ListReply* reply) {
  for (const KeptMount& mount : keeper_.list()) fill(mount, *reply->add_mounts());
  return grpc::Status::OK;
}

grpc::Status MounterGrpcService::Ping(grpc::ServerContext*, const mounter::v1::PingRequest*,
                                      mounter::v1::PingReply* reply) {
  const std::vector<KeptMount> mounts = keeper_.list();
  reply->set_software("shima-csi");
  reply->set_mounts(static_cast<uint64_t>(
      std::count_if(mounts.begin(), mounts.end(), [](const KeptMount& mount) { return mount.running; })));
  return grpc::Status::OK;
}

}  // namespace shima
