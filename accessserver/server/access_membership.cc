#include "accessserver/server/access_membership.h"

#include <chrono>
#include <thread>
#include <utility>

#include "accessserver/server/core_server_barrier.h"
#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

// Who has not heard of etcd for so long does not know any more who has been unpublished.
constexpr uint64_t kStaleMs = 2000;
constexpr uint32_t kWatchSilenceMs = 4000;  // a sign of life is asked for in a quarter of it
constexpr uint32_t kRecordWaitMs = 2000;
constexpr auto kRetryPause = std::chrono::milliseconds(200);

}  // namespace

AccessMembership::AccessMembership(const AccessOptions& options, ClusterVolumes& volumes,
                                   VolumeRegistry& registry, NfsService& nfs)
    : options_(options),
      volumes_(volumes),
      registry_(registry),
      nfs_(nfs),
      published_([this] { return view_->stale_ms(); }, kStaleMs) {}

AccessMembership::~AccessMembership() { stop_serving(); }

Status AccessMembership::start(const std::function<bool()>& ended) {
  volumes_.set_admission([this](const VolumeLayout& layout, const ClientIdentity&) { return admit(layout); });
  if (options_.etcd_endpoints.empty()) return Status::ok();
  EtcdOptions etcd_options;
  etcd_options.watch_silence_ms = kWatchSilenceMs;
  auto etcd = EtcdClient::create(options_.etcd_endpoints, etcd_options);
  if (!etcd) return etcd.status();
  etcd_ = std::move(*etcd);
  SHIMA_RETURN_IF_ERROR(watch_cluster(ended));
  registry_.set_publications([this](const std::string& volume, const std::string& client) {
    return published_.access(volume, client);
  });
  // Nothing is opened, and so nothing fenced, before this server is registered.
  volumes_.set_on_fenced([this](const ClientIdentity& identity, const Status&) {
    registration_->doubt(identity.access_incarnation);
  });
  auto registered = AccessRegistration::start(
      *etcd_, {.name = options_.name},
      [this](const ClientIdentity& identity) { nfs_.change_identity(identity); }, ended);
  if (!registered) return registered.status();
  registration_ = std::move(*registered);
  return Status::ok();
}

// As long as it takes etcd to answer.
Status AccessMembership::watch_cluster(const std::function<bool()>& ended) {
  LogLimit trouble(10'000);
  for (;;) {
    auto view =
        ClusterView::start(*etcd_, [this](const ClusterChange& change) { published_.update(*change.state); });
    if (view) {
      view_ = std::move(*view);
      published_.begin(*view_->snapshot());
      return Status::ok();
    }
    if (view.status().code() != Code::kUnavailable && view.status().code() != Code::kDeadlineExceeded)
      return view.status();
    uint64_t suppressed = 0;
    if (trouble.allow("etcd", real_clock().now_ms(), suppressed))
      log(LogLevel::kWarning, "server", "waiting for etcd: " + view.status().to_string());
    if (ended()) return view.status();
    std::this_thread::sleep_for(kRetryPause);
  }
}

// A volume for published nodes is opened only once its record is known here, so that clients can be told
// apart.
Status AccessMembership::admit(const VolumeLayout& layout) const {
  if (!layout.published_only) return Status::ok();
  if (!view_) {
    return {Code::kPermissionDenied,
            "volume " + layout.name +
                " is for published nodes only: give this access server etcd.endpoints, so that it registers "
                "and knows them"};
  }
  if (published_.wait_for(layout.name, layout.config_version, kRecordWaitMs)) return Status::ok();
  return {Code::kUnavailable, "etcd has not told of the record of volume " + layout.name + " yet"};
}

void AccessMembership::serve() {
  if (!registration_) return;
  if (!options_.shared_address) return;
  SharedAddress::Handlers handlers;
  handlers.fence = [this](EtcdRevision revision, const std::function<bool()>& wanted) {
    return CoreServerBarrier(*view_).wait(revision, wanted);
  };
  handlers.taken = [this] { return nfs_.open_shared(options_.shared_address->address); };
  handlers.lost = [this] { nfs_.close_shared(); };
  address_ = std::make_unique<SharedAddress>(*etcd_, *registration_,
                                             SharedAddressOptions{*options_.shared_address, options_.name},
                                             std::move(handlers));
}

void AccessMembership::stop_serving() { address_.reset(); }

void AccessMembership::leave() {
  if (!registration_) return;
  if (Status left = registration_->leave(); !left.is_ok())
    log(LogLevel::kWarning, "server", "the registration stays until its lease is over: " + left.to_string());
}

}  // namespace shima
