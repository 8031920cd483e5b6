#include "coreserver/rpc/control_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>

#include "coreserver/rpc/status_codes.h"
#include "shima/cluster/v1/cluster.grpc.pb.h"
#include "shima/cluster/v1/disks.grpc.pb.h"
#include "shima/replication/v1/replication.grpc.pb.h"
#include "shima/stats/v1/stats.grpc.pb.h"
#include "shima/volume/v1/volume.grpc.pb.h"

namespace shima {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

constexpr int kMaxReplyBytes = 64 << 20;
constexpr uint32_t kMaxLongerMs = 120000;
constexpr uint32_t kUnpublishMs = 10000;  // what a server takes for a timeout_ms of 0
constexpr int kAnswerMs = 50;             // kept back for the answer's way

std::chrono::system_clock::time_point as_grpc_deadline(SteadyTime when) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<milliseconds>(when - std::chrono::steady_clock::now());
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);  // gRPC's name for the time limit of one attempt
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

// True once connected; false when an attempt failed or time is up.
bool connect(grpc::Channel& channel, SteadyTime deadline) {
  bool tried = false;
  for (;;) {
    grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return true;
    if (state == GRPC_CHANNEL_SHUTDOWN) return false;
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && tried) return false;
    tried = tried || state == GRPC_CHANNEL_CONNECTING;
    if (!channel.WaitForStateChange(state, as_grpc_deadline(deadline))) return false;
  }
}

struct Attempt {
  Status status;
  bool answered = false;  // the error is the server's own word
};

template <typename Service, typename Method, typename Request, typename Reply>
Attempt attempt(const std::shared_ptr<grpc::Channel>& channel, Method method, const Request& request,
                SteadyTime deadline, Reply& reply) {
  grpc::ClientContext context;
  context.set_deadline(as_grpc_deadline(deadline));
  auto stub = Service::NewStub(channel);
  grpc::Status status = (stub.get()->*method)(&context, request, &reply);
  const auto& trailer = context.GetServerTrailingMetadata();
  auto found = trailer.find(kCodeMetadataKey);
  std::optional<std::string_view> code;
  if (found != trailer.end()) code = std::string_view(found->second.data(), found->second.size());
  return {from_grpc_status(status, code), code.has_value()};
}

}  // namespace

class ControlClient::Impl {
 public:
  explicit Impl(ControlClientOptions options) : options_(std::move(options)) {
    SHIMA_CHECK(!options_.endpoints.empty(), "a control client needs an endpoint");
    for (const std::string& endpoint : options_.endpoints) channels_.push_back(make_channel(endpoint));
  }

  std::string answered_by() const {
    std::lock_guard lock(mutex_);
    return answered_by_;
  }

  // A call that changes nothing: whatever goes wrong at one server, the next may be asked.
  template <typename Service, typename Request, typename Reply>
  Result<Reply> read(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                     const Request& request) {
    return call<Service>(method, request, /*changes=*/false, 0);
  }
  // A call that changes something: asked elsewhere only if this server surely did nothing.
  template <typename Service, typename Request, typename Reply>
  Result<Reply> change(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                       const Request& request) {
    return call<Service>(method, request, /*changes=*/true, 0);
  }
  // A change that the server may take `longer_ms` for, waiting for others.
  template <typename Service, typename Request, typename Reply>
  Result<Reply> slow_change(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                  Reply*),
                            const Request& request, uint32_t longer_ms) {
    return call<Service>(method, request, /*changes=*/true, std::min(longer_ms, kMaxLongerMs));
  }

 private:
  template <typename Service, typename Request, typename Reply>
  Result<Reply> call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                     const Request& request, bool changes, uint32_t longer_ms) {
    const int64_t timeout_ms = options_.timeout_ms + int64_t{longer_ms};
    const SteadyTime deadline = std::chrono::steady_clock::now() + milliseconds(timeout_ms);
    const milliseconds patience(longer_ms ? longer_ms + options_.timeout_ms / 2 : 0);
    const size_t count = channels_.size(), first = first_to_try();
    std::string reasons;
    std::optional<Status> said_unavailable;
    for (size_t i = 0; i < count; ++i) {
      const size_t at = (first + i) % count;
      const SteadyTime now = std::chrono::steady_clock::now();
      if (now >= deadline) {
        note(reasons, at, "not tried: no time was left");
        continue;
      }
      if (!connect(*channels_[at], std::min(deadline, now + milliseconds(options_.connect_timeout_ms)))) {
        note(reasons, at, "no connection");
        continue;
      }
      // Another server would wait for the same as the one that has waited in vain, and not be heard to the
      // end.
      if (said_unavailable && std::chrono::steady_clock::now() + patience > deadline) {
        note(reasons, at, "not tried: too little time was left");
        continue;
      }
      // A read leaves time for the other servers.
      const SteadyTime limit = changes || i + 1 == count ? deadline : now + (deadline - now) / 2;
      Reply reply;
      Attempt result = attempt<Service>(channels_[at], method, request, limit, reply);
      const Code code = result.status.code();
      if (result.answered || (code != Code::kUnavailable && code != Code::kDeadlineExceeded)) {
        remember(at);
        if (result.status.is_ok()) return reply;
        if (code != Code::kUnavailable) return result.status;
        if (!said_unavailable) said_unavailable = result.status.with_context(options_.endpoints[at]);
        continue;
      }
      if (changes) return outcome_unknown(at, result.status);
      note(reasons, at, result.status.message());
    }
    if (said_unavailable) return *said_unavailable;
    return nobody_answered(reasons, timeout_ms);
  }

  void note(std::string& reasons, size_t at, const std::string& reason) const {
    if (!reasons.empty()) reasons += "; ";
    reasons += options_.endpoints[at] + " (" + reason + ")";
  }

  Status outcome_unknown(size_t at, const Status& status) const {
    return {Code::kDeadlineExceeded, "the change was sent to " + options_.endpoints[at] +
                                         ", but no answer came (" + status.message() +
                                         "): it may have been made or not; look, and repeat it if need be"};
  }

  static Status nobody_answered(const std::string& reasons, int64_t timeout_ms) {
    return {Code::kUnavailable, "no core server answered within " + std::to_string(timeout_ms) +
                                    " ms; tried " + reasons +
                                    "; check the endpoints and that shima-coreserver runs there"};
  }

  size_t first_to_try() const {
    std::lock_guard lock(mutex_);
    return answered_at_;
  }

  void remember(size_t at) {
    std::lock_guard lock(mutex_);
    answered_at_ = at;
    answered_by_ = options_.endpoints[at];
  }

  const ControlClientOptions options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  mutable std::mutex mutex_;
  size_t answered_at_ = 0;
  std::string answered_by_;
};

ControlClient::ControlClient(ControlClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ControlClient::~ControlClient() = default;
ControlClient::ControlClient(ControlClient&&) noexcept = default;

std::string ControlClient::answered_by() const { return impl_->answered_by(); }

using cluster::v1::ClusterService;
using cluster::v1::DiskService;
using replication::v1::ReplicationService;
using stats::v1::StatsService;
using volume::v1::VolumeService;

Result<volume::v1::CreateVolumeReply> ControlClient::create_volume(const volume::v1::CreateVolumeRequest& r) {
  return impl_->change<VolumeService>(&VolumeService::Stub::CreateVolume, r);
}
Result<volume::v1::DeleteVolumeReply> ControlClient::delete_volume(const volume::v1::DeleteVolumeRequest& r) {
  return impl_->change<VolumeService>(&VolumeService::Stub::DeleteVolume, r);
}
Result<volume::v1::GetVolumeReply> ControlClient::get_volume(const volume::v1::GetVolumeRequest& r) {
  return impl_->read<VolumeService>(&VolumeService::Stub::GetVolume, r);
}
Result<volume::v1::ListVolumesReply> ControlClient::list_volumes(const volume::v1::ListVolumesRequest& r) {
  return impl_->read<VolumeService>(&VolumeService::Stub::ListVolumes, r);
}
Result<volume::v1::SetSizeReply> ControlClient::set_size(const volume::v1::SetSizeRequest& r) {
  return impl_->change<VolumeService>(&VolumeService::Stub::SetSize, r);
}
Result<volume::v1::PublishReply> ControlClient::publish(const volume::v1::PublishRequest& r) {
  return impl_->change<VolumeService>(&VolumeService::Stub::Publish, r);
}
Result<volume::v1::UnpublishReply> ControlClient::unpublish(const volume::v1::UnpublishRequest& r) {
  return impl_->slow_change<VolumeService>(&VolumeService::Stub::Unpublish, r,
                                           r.timeout_ms() ? r.timeout_ms() : kUnpublishMs);
}
Result<cluster::v1::GetStatusReply> ControlClient::get_status(const cluster::v1::GetStatusRequest& r) {
  return impl_->read<ClusterService>(&ClusterService::Stub::GetStatus, r);
}
Result<cluster::v1::ListSitesReply> ControlClient::list_sites(const cluster::v1::ListSitesRequest& r) {
  return impl_->read<ClusterService>(&ClusterService::Stub::ListSites, r);
}
Result<cluster::v1::AddSiteReply> ControlClient::add_site(const cluster::v1::AddSiteRequest& r) {
  return impl_->change<ClusterService>(&ClusterService::Stub::AddSite, r);
}
Result<cluster::v1::ListServersReply> ControlClient::list_servers(const cluster::v1::ListServersRequest& r) {
  return impl_->read<ClusterService>(&ClusterService::Stub::ListServers, r);
}
Result<cluster::v1::ListDisksReply> ControlClient::list_disks(const cluster::v1::ListDisksRequest& r) {
  return impl_->read<DiskService>(&DiskService::Stub::ListDisks, r);
}
Result<cluster::v1::ForgetDiskReply> ControlClient::forget_disk(const cluster::v1::ForgetDiskRequest& r) {
  return impl_->change<DiskService>(&DiskService::Stub::ForgetDisk, r);
}
Result<replication::v1::ShowGroupsReply> ControlClient::show_groups(
    const replication::v1::ShowGroupsRequest& r) {
  return impl_->read<ReplicationService>(&ReplicationService::Stub::ShowGroups, r);
}
Result<stats::v1::GetStatsReply> ControlClient::get_stats(const stats::v1::GetStatsRequest& r) {
  return impl_->read<StatsService>(&StatsService::Stub::GetStats, r);
}

Result<cluster::v1::WaitForRevisionReply> wait_for_revision(const std::string& endpoint, int64_t revision,
                                                            int timeout_ms, int connect_timeout_ms,
                                                            uint64_t committed_volume) {
  const int limit = std::clamp(timeout_ms, 100, 30000);
  const SteadyTime start = std::chrono::steady_clock::now();
  auto channel = make_channel(endpoint);
  if (!connect(*channel, start + milliseconds(std::min(limit, connect_timeout_ms)))) {
    return Status(Code::kUnavailable, "no connection to the core server at " + endpoint);
  }
  const SteadyTime deadline = start + milliseconds(limit);
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  cluster::v1::WaitForRevisionRequest request;
  request.set_revision(revision);
  request.set_committed_volume(committed_volume);
  request.set_timeout_ms(static_cast<uint32_t>(std::max<int64_t>(left.count() - kAnswerMs, 1)));
  cluster::v1::WaitForRevisionReply reply;
  Attempt result =
      attempt<ClusterService>(channel, &ClusterService::Stub::WaitForRevision, request, deadline, reply);
  if (!result.status.is_ok()) return result.status.with_context("core server at " + endpoint);
  if (reply.revision() < revision) {
    return Status(Code::kInternal, "the core server at " + endpoint + " was asked for revision " +
                                       std::to_string(revision) + " and answered revision " +
                                       std::to_string(reply.revision()));
  }
  return reply;
}

}  // namespace shima
