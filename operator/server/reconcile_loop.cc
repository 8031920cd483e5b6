#include "operator/server/reconcile_loop.h"

#include <utility>

#include "common/observe/log.h"

namespace shima {
namespace {

constexpr char kLeadership[] = "";       // no cluster's key
constexpr uint64_t kGatherMs = 100;      // changes come in bursts
constexpr uint64_t kAtLeastMs = 60'000;  // a look that nobody asked for

}  // namespace

ReconcileLoop::ReconcileLoop(const Clock& clock, IsLeader is_leader, Before before)
    : clock_(clock),
      is_leader_(std::move(is_leader)),
      before_(std::move(before)),
      queue_(clock, RetryDelay{500, 30'000}) {}

ReconcileLoop::~ReconcileLoop() { stop(); }

void ReconcileLoop::start(ClusterReconciler& reconciler) {
  reconciler_ = &reconciler;
  thread_ = std::thread([this] { run(); });
}

void ReconcileLoop::stop() {
  queue_.stop();
  if (thread_.joinable()) thread_.join();
}

void ReconcileLoop::wake(const std::string& cluster_key) { queue_.add_after(cluster_key, kGatherMs); }

void ReconcileLoop::leadership_changed() { queue_.add(kLeadership); }

void ReconcileLoop::run() {
  while (const auto key = queue_.take()) {
    if (*key == kLeadership) {
      look_at_leadership();
    } else if (is_leader_()) {
      before_();
      reconcile(*key);
    }
    queue_.done(*key);
  }
}

void ReconcileLoop::look_at_leadership() {
  if (!is_leader_()) return reconciler_->forget_all();
  for (const std::string& key : reconciler_->keys()) queue_.add(key);
}

void ReconcileLoop::reconcile(const std::string& key) {
  const uint64_t begin = clock_.now_us();
  const ReconcileResult result = reconciler_->reconcile(key);
  if (result.failed) {
    queue_.add_rate_limited(key);
  } else {
    queue_.forget(key);
    if (reconciler_->keys().contains(key))
      queue_.add_after(key, result.again_after_ms == 0 ? kAtLeastMs : result.again_after_ms);
  }
  std::lock_guard lock(mutex_);
  ++(result.failed ? failed_ : done_);
  us_.record(clock_.now_us() - begin);
}

std::vector<OperatorSample> ReconcileLoop::samples() const {
  std::lock_guard lock(mutex_);
  return {{.name = "queue_length", .value = static_cast<double>(queue_.waiting())},
          {.name = "leader", .value = is_leader_() ? 1.0 : 0.0},
          {.name = "reconciles_total",
           .value = static_cast<double>(done_),
           .labels = {{"result", "done"}},
           .counter = true},
          {.name = "reconciles_total",
           .value = static_cast<double>(failed_),
           .labels = {{"result", "failed"}},
           .counter = true},
          {.name = "reconcile_p50_us", .value = static_cast<double>(us_.quantile(0.5))},
          {.name = "reconcile_p99_us", .value = static_cast<double>(us_.quantile(0.99))},
          {.name = "reconcile_max_us", .value = static_cast<double>(us_.max())}};
}

}  // namespace shima
