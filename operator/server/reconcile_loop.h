// ReconcileLoop: a thread that reconciles ShimaClusters one after another, while this process leads.
//
// Keys come from watches, from core servers and from time. An API server that is away is asked again later
// and later. Threads: all methods from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/kubernetes/blocking_work_queue.h"
#include "common/observe/histogram.h"
#include "common/runtime/clock.h"
#include "operator/reconcile/cluster_reconciler.h"
#include "operator/server/operator_metrics.h"

namespace shima {

class ReconcileLoop {
 public:
  using IsLeader = std::function<bool()>;
  // Called on the loop's thread before a reconcile.
  using Before = std::function<void()>;

  ReconcileLoop(const Clock& clock, IsLeader is_leader, Before before);
  ~ReconcileLoop();  // stop()

  // `reconciler` must outlive the loop's stop(). Once.
  void start(ClusterReconciler& reconciler);
  void stop();

  void wake(const std::string& cluster_key);
  void leadership_changed();

  std::vector<OperatorSample> samples() const;

 private:
  void run();
  void look_at_leadership();
  void reconcile(const std::string& key);

  const Clock& clock_;
  const IsLeader is_leader_;
  const Before before_;
  ClusterReconciler* reconciler_ = nullptr;
  BlockingWorkQueue queue_;
  std::thread thread_;

  mutable std::mutex mutex_;  // for these
  uint64_t done_ = 0, failed_ = 0;
  Histogram us_;
};

}  // namespace shima
