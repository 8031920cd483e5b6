#include "csi/mounter/mounter_client.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "common/runtime/clock.h"
#include "coreserver/rpc/status_codes.h"

namespace shima {
namespace {

constexpr int kListMs = 5000;
constexpr uint32_t kBeyondMs = 30'000;   // of a start or stop, on top of the time it was given
constexpr uint32_t kRestartMs = 10'000;  // of a mounter that does not answer

// A restarted mounter is found at once: the channel's usual waits are for networks.
std::shared_ptr<grpc::Channel> channel_to(const std::string& socket_path) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);  // gRPC's name for the time limit of one attempt
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(), arguments);
}

void set_deadline(grpc::ClientContext& context, uint32_t ms) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(ms));
}

constexpr useconds_t kBusyPauseUs = 20'000;

}  // namespace

MounterClient::MounterClient(const std::string& socket_path)
    : socket_path_(socket_path), stub_(mounter::v1::MounterService::NewStub(channel_to(socket_path))) {}

Status MounterClient::status_of(const grpc::Status& status) const {
  const Status ours = from_grpc_status(status, std::nullopt);
  return ours.is_ok() ? ours : ours.with_context("mounter at " + socket_path_);
}

Result<mounter::v1::Mount> MounterClient::start(const mounter::v1::StartRequest& request) {
  mounter::v1::StartReply reply;
  SHIMA_RETURN_IF_ERROR(until_free(request.timeout_ms() + kBeyondMs, [&](grpc::ClientContext& context) {
    return stub_->Start(&context, request, &reply);
  }));
  return reply.mount();
}

Result<mounter::v1::StopReply> MounterClient::stop(const std::string& path, uint32_t timeout_ms) {
  mounter::v1::StopRequest request;
  request.set_path(path);
  request.set_timeout_ms(timeout_ms);
  mounter::v1::StopReply reply;
  SHIMA_RETURN_IF_ERROR(until_free(timeout_ms + kBeyondMs, [&](grpc::ClientContext& context) {
    return stub_->Stop(&context, request, &reply);
  }));
  return reply;
}

Status MounterClient::until_free(uint32_t limit_ms,
                                 const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  const uint64_t begin = real_clock().now_ms(), until = begin + limit_ms;
  while (true) {
    const uint64_t now = real_clock().now_ms();
    grpc::ClientContext context;
    set_deadline(context, now < until ? static_cast<uint32_t>(until - now) : 1);
    const Status status = status_of(call(context));
    const uint64_t again_until = status.code() == Code::kConflict      ? until
                                 : status.code() == Code::kUnavailable ? std::min(until, begin + kRestartMs)
                                                                       : 0;
    if (real_clock().now_ms() >= again_until) return status;
    usleep(kBusyPauseUs);
  }
}

Result<std::vector<mounter::v1::Mount>> MounterClient::list() {
  grpc::ClientContext context;
  set_deadline(context, kListMs);
  mounter::v1::ListReply reply;
  SHIMA_RETURN_IF_ERROR(status_of(stub_->List(&context, {}, &reply)));
  return std::vector<mounter::v1::Mount>(reply.mounts().begin(), reply.mounts().end());
}

Status MounterClient::ping(int timeout_ms) {
  grpc::ClientContext context;
  set_deadline(context, static_cast<uint32_t>(timeout_ms));
  mounter::v1::PingReply reply;
  return status_of(stub_->Ping(&context, {}, &reply));
}

}  // namespace shima
