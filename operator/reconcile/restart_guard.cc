#include "operator/reconcile/restart_guard.h"

#include <algorithm>

namespace shima {
namespace {

std::string text_of(std::vector<CoreServerPod> pods) {
  std::sort(pods.begin(), pods.end(),
            [](const CoreServerPod& a, const CoreServerPod& b) { return a.name < b.name; });
  std::string text;
  for (const CoreServerPod& pod : pods)
    text += pod.name + (pod.ready ? "+" : "-") + (pod.ending ? "x" : "") + (pod.up_to_date ? "n" : "o") + " ";
  return text;
}

HealthView unknown(const std::string& why) {
  HealthView health;
  health.error = why;
  return health;
}

}  // namespace

HealthView RestartGuard::trusted(const CoreSnapshot& snapshot, const std::vector<CoreServerPod>& pods,
                                 uint64_t now_ms) {
  const std::string seen = text_of(pods);
  if (seen != seen_) {
    seen_ = seen;
    changed_ms_ = now_ms;
  }
  if (!snapshot.health.answered) return snapshot.health;
  if (snapshot.taken_ms < changed_ms_ + settle_ms_)
    return unknown("a pod has changed since they were asked; they are asked again soon");
  if (now_ms > snapshot.taken_ms + kMaxAgeMs) return unknown("their last answer is too old");
  return snapshot.health;
}

void RestartGuard::mark_settling(std::vector<CoreServerPod>& pods, uint64_t now_ms) {
  for (CoreServerPod& pod : pods) {
    pod.settling = false;
    if (!pod.up_to_date || pod.ready || pod.ending) {
      unready_ms_.erase(pod.name);
      continue;
    }
    const uint64_t since = unready_ms_.try_emplace(pod.name, now_ms).first->second;
    pod.settling = now_ms < since + kSettlingMs;
  }
}

void RestartGuard::restarted(const std::string& pod, const std::string& uid, uint64_t now_ms) {
  unready_ms_.erase(pod);
  pod_ = pod;
  uid_ = uid;
  told_ms_ = changed_ms_ = now_ms;
}

bool RestartGuard::is_pending(const std::string& uid, bool ending, uint64_t now_ms) const {
  return !uid_.empty() && uid == uid_ && !ending && now_ms < told_ms_ + kUnseenMs;
}

HealthView told_health(const CoreSnapshot& snapshot, uint64_t now_ms) {
  if (!snapshot.health.answered) {
    // What each endpoint said differs from look to look, and the status would with it.
    HealthView silent = snapshot.health;
    silent.error = silent.error.substr(0, silent.error.find("; tried "));
    return silent;
  }
  if (now_ms <= snapshot.taken_ms + RestartGuard::kMaxAgeMs) return snapshot.health;
  return unknown("their last answer is too old");
}

}  // namespace shima
