// PURE: which core server restarts next in a rolling upgrade, or why none may.
//
// A core server restarts only while every other one is ready and every replica group has caught up: then each
// group still has a full local copy and a member that can be written to (R1, R7). That is told by etcd's
// records, and by each server of the groups that it is the primary of, since the records do not show who is
// behind or cut off. Copies at other sites may be left out of account, where a person says so: a site that is
// cut off by plan, or a WAN that is always behind. One at a time in the whole cluster, since a volume's
// groups have members in several sites. A server that is not ready already is restarted first: it holds
// nothing up, and its new version may be what mends it; but not while a pod is missing or one that was
// restarted just now may still become ready. Pods are restarted by deleting them (the StatefulSets' strategy
// is OnDelete).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/status/health_view.h"

namespace shima {

struct CoreServerPod {
  std::string name;  // the pod's
  std::string site;
  std::string node;  // empty: none yet
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

// A copy at another site has caught up if it is less than one of these behind. Time: what a server that
// restarts is away for anyhow, so that the next one adds no more than this one has. Bytes: what a slow line
// of 20 Mbit/s brings in that time, so that a copy that lacks little is not waited for when nothing is
// written.
inline constexpr uint64_t kCaughtUpMs = 30'000;
inline constexpr uint64_t kCaughtUpBytes = 64ull << 20;

// Why no core server that serves may be taken away now.
struct RestartObstacle {
  std::string reason;           // for people; empty: one may
  bool at_other_sites = false;  // only copies at other sites are waited for, and need not be
};

struct RolloutStep {
  enum class Kind { kDone, kRestart, kWait };
  Kind kind = Kind::kDone;
  std::string pod;                     // kRestart
  std::string reason;                  // for people: kRestart: why this one; kWait: what is waited for
  uint32_t up_to_date = 0;             // pods that run the newest revision
  uint32_t total = 0;                  // pods that there should be
  bool waits_for_other_sites = false;  // kWait: RestartObstacle::at_other_sites
  bool core_servers_go_on = false;     // kWait, of etcd's members: for a person, maybe for ever
};

// The first of `names`, and how many more there are: for people.
std::string some_of(const std::vector<std::string>& names);

// What forbids to restart also a pod that does not serve; empty: nothing. `wanted`: pods that there should
// be.
std::string obstacle_to_any_restart(const std::vector<CoreServerPod>& pods, uint32_t wanted);

// `heed_other_sites`: false: copies at other sites are left out of account. Where a server is too old to tell
// of its groups, what the records say of them counts all the same.
RestartObstacle obstacle_to_restart(const std::vector<CoreServerSet>& sets,
                                    const std::vector<CoreServerPod>& pods, const HealthView& health,
                                    bool heed_other_sites = true);

RolloutStep next_restart(const std::vector<CoreServerSet>& sets, const std::vector<CoreServerPod>& pods,
                         const HealthView& health, bool heed_other_sites = true);

}  // namespace shima
