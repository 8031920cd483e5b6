#include "operator/server/operator_serving.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>

#include "common/kubernetes/leader_election.h"
#include "common/observe/log.h"
#include "common/program/ending_signals.h"
#include "operator/core_view/core_servers.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/server/cluster_watches.h"
#include "operator/server/counted_calls.h"
#include "operator/server/operator_metrics.h"
#include "operator/server/reconcile_loop.h"

namespace shima {
namespace {

constexpr uint64_t kDiscoveryMs = 600'000;  // between looks for kinds that the API server may learn
constexpr uint64_t kDiscoveryRetryMs = 10'000;
// Of a call that changes something: over before another process can be the leader (leader_lease.h).
constexpr uint32_t kCallMs = 4'000;
static_assert(kCallMs < LeaseTerms{}.lease_ms - LeaseTerms{}.renew_deadline_ms);

Result<ApiAccess> access_of(const OperatorOptions& options) {
  return options.kubeconfig.empty() ? access_from_pod()
                                    : access_from_kubeconfig(options.kubeconfig, options.context);
}

// Watches only read, and their lists may take longer.
ApiAccess for_changes(ApiAccess access) {
  access.timeout_ms = kCallMs;
  return access;
}

uint64_t wall_us() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

ElectionOptions election_of(const OperatorOptions& options, const ApiAccess& access) {
  std::random_device random;
  const std::string name_space = !options.lease_namespace.empty() ? options.lease_namespace
                                 : !access.name_space.empty()     ? access.name_space
                                                                  : "shima-system";
  return {.name_space = name_space,
          .name = options.lease_name,
          .identity = options.identity + "_" + std::to_string(random()) + std::to_string(random())};
}

// Empty: not known. In a pod its credentials say it.
std::string own_namespace(const OperatorOptions& options, const ApiAccess& access) {
  const bool told_by_pod = options.kubeconfig.empty() && !access.name_space.empty();
  return told_by_pod || options.lease_namespace.empty() ? access.name_space : options.lease_namespace;
}

// The parts of a running operator, each of which outlives those below it.
class Operator {
 public:
  Operator(const OperatorOptions& options, const ApiAccess& access)
      : options_(options),
        client_(for_changes(access)),
        calls_(
            client_, [this] { return may_act(); }, kCallMs),
        loop_(
            real_clock(), [this] { return may_act(); }, [this] { discover(); }),
        watches_(access, [this](const std::string& key) { loop_.wake(key); }),
        reconciler_(
            calls_, watches_, [this] { return api_kinds_; },
            [](const std::vector<std::string>& endpoints) { return make_core_servers(endpoints); },
            reconciler_options(options, access, [this] { return may_act(); }), {real_clock(), wall_us},
            [this](const std::string& key) { loop_.wake(key); }) {
    if (options.leader_election)
      election_ = std::make_unique<LeaderElection>(
          access, election_of(options, access), [this] { loop_.leadership_changed(); },
          [this] { loop_.leadership_changed(); });
  }

  Status run() {
    std::unique_ptr<OperatorMetrics> metrics;
    if (options_.metrics_port != 0) {
      auto started = OperatorMetrics::start(options_.metrics_address, options_.metrics_port,
                                            [this] { return samples(); });
      if (!started) return started.status();
      metrics = std::move(started).value();
    }
    loop_.start(reconciler_);
    watches_.start();
    if (election_) election_->start();
    loop_.leadership_changed();
    std::thread readiness([this, &metrics] { tell_when_ready(metrics.get()); });
    wait_for_ending_signal();
    stop();
    readiness.join();
    return Status::ok();
  }

 private:
  static ReconcilerOptions reconciler_options(const OperatorOptions& options, const ApiAccess& access,
                                              std::function<bool()> may_act) {
    ReconcilerOptions made{.instance = options.identity,
                           .namespaces = options.namespaces,
                           .image = options.image,
                           .name_space = own_namespace(options, access),
                           .settle_ms = options.settle_ms,
                           .may_act = std::move(may_act)};
    made.core_watch.interval_ms = options.health_interval_ms;
    return made;
  }

  bool may_act() const { return !ending_ && (!election_ || election_->is_leader()); }

  // The lease is given back after the last change was made.
  void stop() {
    ending_ = true;
    client_.cancel();
    loop_.stop();
    reconciler_.forget_all();
    if (election_) election_->stop();
    watches_.stop();
  }

  void tell_when_ready(OperatorMetrics* metrics) {
    while (!ending_ && !watches_.is_ready()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (ending_) return;
    log(LogLevel::kInfo, "operator", "has seen all ShimaClusters and nodes");
    if (metrics) metrics->set_ready();
  }

  // On the loop's thread.
  void discover() {
    const uint64_t now = real_clock().now_ms();
    if (discovered_ms_ != 0 && now < discovered_ms_ + kDiscoveryMs) return;
    discovered_ms_ = now;
    for (const ResourceKind& kind : optional_kinds()) {
      const auto known = calls_.knows(kind.api_version, kind.kind);
      if (!known) {  // what was known stays
        discovered_ms_ = now - kDiscoveryMs + kDiscoveryRetryMs;
        return;
      }
      if (!*known) {
        api_kinds_.erase(kind_key(kind));
        continue;
      }
      api_kinds_.insert(kind_key(kind));
      watches_.start_optional(kind);
    }
  }

  std::vector<OperatorSample> samples() {
    std::vector<OperatorSample> samples = loop_.samples();
    for (const auto& [what, count] : calls_.counts())
      samples.push_back({.name = "api_calls_total",
                         .value = static_cast<double>(count),
                         .labels = {{"verb", what.first}, {"result", what.second}},
                         .counter = true});
    samples.push_back({.name = "clusters", .value = static_cast<double>(reconciler_.keys().size())});
    return samples;
  }

  const OperatorOptions& options_;
  std::atomic<bool> ending_{false};
  ApiClient client_;
  std::unique_ptr<LeaderElection> election_;
  CountedCalls calls_;
  ReconcileLoop loop_;
  ClusterWatches watches_;
  std::set<std::string> api_kinds_;  // of the loop's thread
  uint64_t discovered_ms_ = 0;
  ClusterReconciler reconciler_;
};

}  // namespace

Status serve_operator(const OperatorOptions& options) {
  const Result<ApiAccess> access = access_of(options);
  if (!access) return access.status();
  Operator running(options, *access);
  log(LogLevel::kInfo, "operator", options.identity + " looks after ShimaClusters at " + access->url);
  return running.run();
}

}  // namespace shima
