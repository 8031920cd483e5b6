// PURE: which core server restarts next in a rolling upgrade, or why none may.
//
// A core server restarts only while every other one is ready and every replica group has caught up: then each
// group still has a full local copy and a member that can be written to (R1, R7). One at a time in the whole
// cluster, since a volume's groups have members in several sites. A server that is not ready already is
// restarted first: it holds nothing up, and its new version may be what mends it; but not while a pod is
// missing or one that was restarted just now may still become ready. Pods are restarted by deleting them (the
// StatefulSets' strategy is OnDelete).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/status/health_view.h"

namespace shima {

struct CoreServerPod {
  std::string name;  // the pod's
  std::string site;
  uint32_t ordinal = 0;
  bool ready = false;
  bool up_to_date = false;  // runs its StatefulSet's newest revision
  bool ending = false;      // deleted, and not gone yet
  bool settling = false;    // up to date, not ready, and new enough to become it
};

struct CoreServerSet {
  std::string site;
  uint32_t wanted = 0;  // replicas; pods that are missing are being made
};

struct RolloutStep {
  enum class Kind { kDone, kRestart, kWait };
  Kind kind = Kind::kDone;
  std::string pod;          // kRestart
  std::string reason;       // for people: kRestart: why this one; kWait: what is waited for
  uint32_t up_to_date = 0;  // pods that run the newest revision
  uint32_t total = 0;       // pods that there should be
};

// What forbids to restart also a pod that does not serve; empty: nothing. `wanted`: pods that there should
// be.
std::string obstacle_to_any_restart(const std::vector<CoreServerPod>& pods, uint32_t wanted);

RolloutStep next_restart(const std::vector<CoreServerSet>& sets, const std::vector<CoreServerPod>& pods,
                         const HealthView& health);

}  // namespace shima
