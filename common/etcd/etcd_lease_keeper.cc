#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/etcd/etcd_channels.h"

namespace shima {
namespace {

constexpr uint32_t kRetryPauseMs = 200;

class LeaseKeeper : public EtcdLeaseKeeper {
 public:
  LeaseKeeper(EtcdChannels& channels, EtcdLease lease, uint32_t ttl_ms, EtcdClient::OnLeaseLost on_lost)
      : channels_(channels), lease_(lease), ttl_ms_(ttl_ms), on_lost_(std::move(on_lost)) {
    thread_ = std::thread([this] { run(); });
  }
  ~LeaseKeeper() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  // By the clock as well: a process that was stopped asks before the keeper's thread has had its turn.
  bool is_alive() const override { return alive_ && unconfirmed_ms() < ttl_ms_; }

 private:
  // The clock is read last: it must not be before a confirmation that came in between.
  uint64_t unconfirmed_ms() const {
    const uint64_t confirmed_ms = confirmed_ms_;
    return boot_clock_ms() - confirmed_ms;
  }

  void run() {
    while (!stopping_) {
      uint64_t sent_ms = boot_clock_ms();
      Status s = renew(std::max<uint32_t>(ttl_ms_ / 3, kRetryPauseMs));
      if (stopping_) return;
      if (s) {
        confirmed_ms_ = sent_ms;
      } else if (s.code() == Code::kNotFound || unconfirmed_ms() >= ttl_ms_) {
        alive_ = false;
        on_lost_(s.code() == Code::kNotFound ? s : Status(Code::kUnavailable, s.message()));
        return;
      }
      pause(s ? ttl_ms_ / 3 : std::min(kRetryPauseMs, ttl_ms_ / 10));
    }
  }

  Status renew(uint32_t timeout_ms) {
    int64_t ttl = 0;
    SHIMA_RETURN_IF_ERROR(channels_.attempt(
        EtcdChannels::Repeat::kHarmless, "a renewal of the lease", timeout_ms,
        [&](EtcdChannel& c, grpc::ClientContext& context) {
          auto stream = c.lease->LeaseKeepAlive(&context);
          etcdserverpb::LeaseKeepAliveRequest request;
          request.set_id(lease_.value);
          etcdserverpb::LeaseKeepAliveResponse response;
          bool answered = stream->Write(request) && stream->Read(&response);
          if (answered) {
            ttl = response.ttl();
            context.TryCancel();
          }
          grpc::Status status = stream->Finish();
          return answered ? grpc::Status::OK : status;
        },
        &stopping_));
    if (ttl <= 0) {
      return {Code::kNotFound, "etcd says that the lease is gone: it was not renewed in time or was revoked"};
    }
    return Status::ok();
  }

  void pause(uint32_t ms) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_.load(); });
  }

  EtcdChannels& channels_;
  const EtcdLease lease_;
  const uint32_t ttl_ms_;
  EtcdClient::OnLeaseLost on_lost_;
  std::atomic<bool> alive_{true};
  std::atomic<uint64_t> confirmed_ms_{
      boot_clock_ms()};  // when the last renewal that was confirmed had been sent
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<EtcdLeaseKeeper> make_lease_keeper(EtcdChannels& channels, EtcdLease lease, uint32_t ttl_ms,
                                                   EtcdClient::OnLeaseLost on_lost) {
  return std::make_unique<LeaseKeeper>(channels, lease, ttl_ms, std::move(on_lost));
}

}  // namespace shima
