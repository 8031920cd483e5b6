// PURE: keeps a rolling upgrade from acting on old news.
//
// What core servers say counts only if they were asked after the last change of a pod, and long enough after
// it that a server that is gone has lost its lease; and a pod that was told to go is waited for until the
// watch shows that it goes. A new pod is given some time to become ready; after that others that do not serve
// either may go, since of members that need each other none becomes ready alone.
//
// Times: one clock that never steps back. Threads: none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "operator/core_view/core_snapshot.h"
#include "operator/rollout/next_restart.h"

namespace shima {

class RestartGuard {
 public:
  static constexpr uint64_t kMaxAgeMs = 60'000;     // older words of core servers do not count
  static constexpr uint64_t kSettlingMs = 300'000;  // so long a new pod may take to become ready
  static constexpr uint64_t kUnseenMs = 30'000;     // so long a watch may take to show that a pod goes
  // `settle_ms`: longer than the core servers' lease.
  explicit RestartGuard(uint64_t settle_ms) : settle_ms_(settle_ms) {}

  // The health that next_restart() may act on; not answered, and why, while it is too old.
  HealthView trusted(const CoreSnapshot& snapshot, const std::vector<CoreServerPod>& pods, uint64_t now_ms);
  // Sets CoreServerPod::settling. To be called in each look, for each list of pods.
  void mark_settling(std::vector<CoreServerPod>& pods, uint64_t now_ms);
  // A pod was told to go just now.
  void restarted(const std::string& pod, const std::string& uid, uint64_t now_ms);
  // Whether the pod that was told to go last is still there as if nothing had happened. `uid`: of the pod of
  // that name as the watch has it; empty: there is none.
  bool is_pending(const std::string& uid, bool ending, uint64_t now_ms) const;
  // A budget lets core servers be evicted, or may do so still.
  void budget_is_open(uint64_t now_ms) { budget_open_ms_ = now_ms; }
  // Whether who went by a budget before it was shut has been seen to go.
  bool budgets_are_shut(uint64_t now_ms) const {
    return budget_open_ms_ == 0 || now_ms >= budget_open_ms_ + kUnseenMs;
  }
  const std::string& restarted_pod() const { return pod_; }

 private:
  const uint64_t settle_ms_;
  std::string seen_;                            // the pods, as a text
  uint64_t changed_ms_ = 0;                     // when it changed last
  std::map<std::string, uint64_t> unready_ms_;  // pods of the newest revision: since when they are not ready
  std::string pod_, uid_;
  uint64_t told_ms_ = 0;
  uint64_t budget_open_ms_ = 0;  // the last time; 0: never
};

// How old a snapshot may be for what is told to people.
HealthView told_health(const CoreSnapshot& snapshot, uint64_t now_ms);

}  // namespace shima
