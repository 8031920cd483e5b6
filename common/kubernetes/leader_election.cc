#include "common/kubernetes/leader_election.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "common/kubernetes/api_client.h"
#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

constexpr uint32_t kReleaseTimeoutMs = 1'500;  // of each of its two calls

ResourceKind lease_kind() { return {"coordination.k8s.io/v1", "Lease", "leases"}; }

uint64_t wall_us() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

LeaseTime time_now() { return {real_clock().now_ms(), wall_us()}; }

ApiAccess with_timeout(ApiAccess access, uint64_t timeout_ms) {
  access.timeout_ms =
      static_cast<uint32_t>(std::min<uint64_t>(access.timeout_ms, std::max<uint64_t>(timeout_ms, 1)));
  return access;
}

}  // namespace

struct LeaderElection::Impl {
  using Command = std::optional<LeaderLease::Effect>;

  Impl(ApiAccess given, ElectionOptions wanted, std::function<void()> started, std::function<void()> lost)
      : access(std::move(given)),
        options(std::move(wanted)),
        on_started(std::move(started)),
        on_lost(std::move(lost)),
        // A call that hangs is given up early enough to say Lost before anybody else may lead.
        client(with_timeout(access, (options.terms.lease_ms - options.terms.renew_deadline_ms) * 4 / 5)),
        random(std::random_device{}()),
        lease(options.name_space, options.name, options.identity, options.terms,
              [this] { return random(); }) {}

  void run() {
    Command command = step(LeaderLease::Tick{});
    while (command && !is_stopped()) command = carry_out(*command);
    if (told_leader) end_lead();
    if (has_written) release();
  }

  bool is_stopped() const {
    std::lock_guard lock(mutex);
    return stopped;
  }

  void end_lead() {
    told_leader = false;
    log(is_stopped() ? LogLevel::kInfo : LogLevel::kWarning, "election",
        options.identity + " no longer leads by lease " + options.name);
    on_lost();
  }

  Command step(const LeaderLease::Event& event) {
    std::vector<LeaderLease::Effect> effects;
    {
      std::lock_guard lock(mutex);
      lease.step(time_now(), event, effects);
    }
    Command command;
    for (const LeaderLease::Effect& effect : effects) {
      if (std::holds_alternative<LeaderLease::Started>(effect)) {
        told_leader = true;
        log(LogLevel::kInfo, "election", options.identity + " leads by lease " + options.name);
        on_started();
      } else if (std::holds_alternative<LeaderLease::Lost>(effect)) {
        end_lead();
      } else {
        command = effect;
      }
    }
    return command;
  }

  Command carry_out(const LeaderLease::Effect& command) {
    if (const auto* pause = std::get_if<LeaderLease::Wait>(&command)) {
      std::unique_lock lock(mutex);
      if (changed.wait_for(lock, std::chrono::milliseconds(pause->delay_ms), [this] { return stopped; }))
        return std::nullopt;
      lock.unlock();
      return step(LeaderLease::Tick{});
    }
    if (std::holds_alternative<LeaderLease::Read>(command))
      return step(LeaderLease::LeaseRead{said(client.get(lease_kind(), options.name_space, options.name))});
    has_written = true;
    if (const auto* create = std::get_if<LeaderLease::Create>(&command))
      return step(LeaderLease::LeaseWritten{said(client.create(lease_kind(), create->lease))});
    const auto& replace = std::get<LeaderLease::Replace>(command);
    return step(LeaderLease::LeaseWritten{said(client.replace(lease_kind(), replace.lease))});
  }

  // Failures go to people as well, since nobody else hears of them.
  Result<nlohmann::json> said(Result<nlohmann::json> answer) {
    const Code code = answer.status().code();
    uint64_t suppressed = 0;
    if (!answer && code != Code::kNotFound && code != Code::kConflict && code != Code::kAlreadyExists &&
        !is_stopped() && limit.allow("lease", real_clock().now_ms(), suppressed))
      log(LogLevel::kWarning, "election", "lease " + options.name + ": " + answer.status().to_string());
    return answer;
  }

  void release() {
    ApiClient last(with_timeout(access, kReleaseTimeoutMs));
    Result<nlohmann::json> now = last.get(lease_kind(), options.name_space, options.name);
    if (!now) return;
    const nlohmann::json free = lease.released(*now, wall_us());
    if (free.is_null()) return;
    // If this fails, the next one waits until the lease is over.
    if (const Status status = last.replace(lease_kind(), free).status(); !status)
      log(LogLevel::kInfo, "election", "lease " + options.name + " is not released: " + status.to_string());
  }

  const ApiAccess access;
  const ElectionOptions options;
  const std::function<void()> on_started, on_lost;
  ApiClient client;
  mutable std::mutex mutex;
  std::condition_variable changed;  // stopped
  std::mt19937_64 random;           // under mutex
  LeaderLease lease;                // under mutex; written on the thread only
  bool stopped = false;             // under mutex
  bool told_leader = false;         // the thread's
  bool has_written = false;         // the thread's
  LogLimit limit{30'000};
  std::thread thread;
};

LeaderElection::LeaderElection(ApiAccess access, ElectionOptions options, std::function<void()> on_started,
                               std::function<void()> on_lost)
    : impl_(std::make_unique<Impl>(std::move(access), std::move(options), std::move(on_started),
                                   std::move(on_lost))) {}

LeaderElection::~LeaderElection() { stop(); }

void LeaderElection::start() {
  SHIMA_CHECK(!impl_->thread.joinable(), "an election is started once");
  impl_->thread = std::thread([this] { impl_->run(); });
}

void LeaderElection::stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
    impl_->changed.notify_all();
  }
  impl_->client.cancel();
  if (impl_->thread.joinable()) impl_->thread.join();
}

bool LeaderElection::is_leader() const {
  std::lock_guard lock(impl_->mutex);
  return !impl_->stopped && impl_->lease.is_leader(real_clock().now_ms());
}

std::string LeaderElection::holder() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->lease.holder();
}

}  // namespace shima
