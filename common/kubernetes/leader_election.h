// LeaderElection: a thread that keeps a Lease (leader_lease.h) while it can, and tells when it has it.
//
// Threads: all methods from any thread; the callbacks are called on the election's thread and must return
// soon (they start and stop what a leader does, by a flag or a message), since the lease is not renewed
// meanwhile. stop() releases the lease if it is held, so that the next one takes over at once, and returns
// within about 3 s if the API server is away.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/kubernetes/api_access.h"
#include "common/kubernetes/leader_lease.h"

namespace shima {

struct ElectionOptions {
  std::string name_space;
  std::string name;  // of the Lease
  std::string
      identity;  // different for each process, also after a restart: the pod's name and a random number
  LeaseTerms terms = {};
};

class LeaderElection {
 public:
  // `on_lost` comes after each on_started, also at stop(); before the lease is released.
  LeaderElection(ApiAccess access, ElectionOptions options, std::function<void()> on_started,
                 std::function<void()> on_lost);
  ~LeaderElection();  // stop()
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  void start();  // once
  void stop();   // a second call does nothing; not from a callback

  bool is_leader() const;      // by the clock: false as soon as the deadline is over
  std::string holder() const;  // as last seen; empty: nobody, or not known yet

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
