// Parameters of one run, drawn from its seed: how many sites, how slow, how faulty, and how small the
// protocol's limits are.
//
// Each fault is absent from a share of runs (swarm testing): a run without crashes may go deeper into
// something else.
#pragma once

#include <cstdint>

#include "coreserver/replication/replica_group.h"
#include "tests/simulation/random.h"

namespace shima::simulation {

struct Parameters {
  uint64_t remotes = 1;  // 0 to 2
  replication::AckMode ack = replication::AckMode::kLocal;
  bool full_secondary = false;  // as metadata groups have it
  replication::GroupOptions group;

  uint64_t lan_us_max = 500, wan_us = 20000, wan_jitter_us = 5000;
  uint64_t sync_us_max = 2000, slow_sync_per_mille = 0;
  uint64_t apply_us_max = 20000, checkpoint_us_max = 200000;
  uint64_t config_us_max = 100000, config_lost_per_mille = 0;

  uint64_t lost_per_mille = 0, doubled_per_mille = 0, reordered_per_mille = 0;
  bool late_messages = false;        // of broken connections
  bool late_to_new_process = false;  // even to a receiver that restarted meanwhile
  uint64_t crash_every_us = 0, break_every_us = 0, partition_every_us = 0, full_every_us = 0,
           bump_every_us = 0;              // 0: never
  uint64_t crash_at_append_per_mille = 0;  // a server crashes while it writes a record; if so, also while it
                                           // forgets all
  uint64_t partition_us_max = 1000000;
  bool remote_stays_away = false;  // the last remote is never started again

  uint64_t clients = 2, depth = 4, blocks = 3, operations = 120;
  uint64_t think_us_max = 20000, client_timeout_us = 300000, reply_lost_per_mille = 0,
           request_doubled_per_mille = 0;
  uint64_t chaos_us = 0;
};

Parameters draw_parameters(Random& random, uint64_t operations, const replication::ProtocolBugs& bugs);

}  // namespace shima::simulation
