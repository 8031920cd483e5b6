#include "csi/controller/control_plane.h"

#include <unistd.h>

#include <algorithm>

#include "common/runtime/clock.h"
#include "coreserver/rpc/control_client.h"

namespace shima {
namespace {

constexpr int kConnectMs = 1000;
constexpr int kStatsMs = 6000, kStatsConnectMs = 3000;
constexpr useconds_t kPauseUs = 200'000;

template <typename Repeated>
auto as_vector(const Repeated& items) {
  return std::vector<typename Repeated::value_type>(items.begin(), items.end());
}

// A server, or etcd, that stands still or changes its leader.
bool passes_by_itself(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
}

// No attempt begins after `patience_ms`.
template <typename Call>
auto insist(int patience_ms, const Call& call) {
  const uint64_t until = real_clock().now_ms() + static_cast<uint64_t>(patience_ms);
  for (;;) {
    auto answer = call();
    if (!passes_by_itself(answer.status()) || real_clock().now_ms() >= until) return answer;
    usleep(kPauseUs);
  }
}

class GrpcControlPlane final : public ControlPlane {
 public:
  explicit GrpcControlPlane(const ControlPlaneOptions& options)
      : timeout_ms_(options.timeout_ms),
        patience_ms_(options.patience_ms),
        client_({options.endpoints, options.timeout_ms, std::min(kConnectMs, options.timeout_ms)}) {}

  Result<cluster::v1::VolumeRecord> create_volume(const volume::v1::CreateVolumeRequest& request) override {
    auto reply = insist(patience_ms_, [&] { return client_.create_volume(request); });
    if (!reply) return reply.status();
    return reply->record();
  }

  Status delete_volume(const std::string& name) override {
    volume::v1::DeleteVolumeRequest request;
    request.set_name(name);
    return insist(patience_ms_, [&] { return client_.delete_volume(request); }).status();
  }

  // Setting nothing is the call that answers with the record in etcd; GetVolume answers from a server's view.
  Result<cluster::v1::VolumeRecord> read_volume(const std::string& name) override {
    volume::v1::SetSizeRequest request;
    request.set_name(name);
    auto reply = insist(patience_ms_, [&] { return client_.set_size(request); });
    if (reply) return reply->record();
    if (reply.status().code() != Code::kFailedPrecondition) return reply.status();
    return Status(Code::kNotFound, "volume " + name + " is being deleted");
  }

  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    auto reply = insist(patience_ms_, [&] { return client_.list_volumes({}); });
    if (!reply) return reply.status();
    return as_vector(reply->volumes());
  }

  Result<cluster::v1::VolumeRecord> set_size(const std::string& name, uint64_t size_bytes) override {
    volume::v1::SetSizeRequest request;
    request.set_name(name);
    request.set_size_bytes(size_bytes);
    auto reply = insist(patience_ms_, [&] { return client_.set_size(request); });
    if (!reply) return reply.status();
    return reply->record();
  }

  Result<volume::v1::PublishReply> publish(const std::string& name,
                                           const cluster::v1::Publication& publication) override {
    volume::v1::PublishRequest request;
    request.set_name(name);
    *request.mutable_publication() = publication;
    return insist(patience_ms_, [&] { return client_.publish(request); });
  }

  Status unpublish(const std::string& name, const std::string& node) override {
    volume::v1::UnpublishRequest request;
    request.set_name(name);
    request.set_node(node);
    request.set_timeout_ms(static_cast<uint32_t>(timeout_ms_));
    // The server itself waits so long for primaries that are away.
    return insist(std::min(patience_ms_, timeout_ms_), [&] { return client_.unpublish(request); }).status();
  }

  Result<cluster::v1::GetStatusReply> get_status() override {
    return insist(patience_ms_, [&] { return client_.get_status({}); });
  }

  Result<std::vector<cluster::v1::SiteRecord>> list_sites() override {
    auto reply = insist(patience_ms_, [&] { return client_.list_sites({}); });
    if (!reply) return reply.status();
    return as_vector(reply->sites());
  }

  Result<std::vector<cluster::v1::ServerState>> list_servers() override {
    auto reply = insist(patience_ms_, [&] { return client_.list_servers({}); });
    if (!reply) return reply.status();
    return as_vector(reply->servers());
  }

  Result<stats::v1::GetStatsReply> get_stats_of(const std::string& endpoint) override {
    return ControlClient({{endpoint}, kStatsMs, kStatsConnectMs}).get_stats({});
  }

 private:
  const int timeout_ms_;
  const int patience_ms_;
  ControlClient client_;
};

}  // namespace

std::unique_ptr<ControlPlane> make_control_plane(const ControlPlaneOptions& options) {
  return std::make_unique<GrpcControlPlane>(options);
}

}  // namespace shima
