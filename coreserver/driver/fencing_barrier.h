// FencingBarrier: hears from servers that they act on a revision of etcd's (R20): what an unpublished node
// sent, and they have not carried out by then, they never will.
//
// A server that does not answer is asked again until time is over, whether its lease lives or not: that a
// lease is gone does not say that its server has stopped serving. One that has stopped reads etcd before it
// serves again (R4), and then answers. Threads: blocks the caller's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>

#include "common/runtime/clock.h"
#include "common/status/status.h"
#include "common/types/ids.h"

namespace shima {

struct FencingBarrier {
  // Ok: the server acts on the revision. Blocks for at most about `timeout_ms`.
  std::function<Status(ServerId, uint32_t timeout_ms)> ask;
  std::function<std::string(ServerId)> name_of;  // for people
  const std::atomic<bool>* stopping = nullptr;   // gives up
  const Clock* clock = &real_clock();
  uint32_t ask_timeout_ms = 1000;
  uint32_t pause_ms = 50;  // before those who did not answer are asked again

  // Ok: all have answered. kUnavailable: who has not within `timeout_ms`, and why. Each is asked once at
  // least.
  Status wait(std::set<ServerId> servers, uint32_t timeout_ms) const;
};

}  // namespace shima
