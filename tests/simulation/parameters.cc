#include "tests/simulation/parameters.h"

namespace shima::simulation {

namespace {

// The limits of the protocol, small enough to be met often. One record of a chunk costs 4,228 bytes, of two
// 8,328.
replication::GroupOptions draw_limits(Random& r, const replication::ProtocolBugs& bugs) {
  constexpr uint64_t kRecord = 4300;
  replication::GroupOptions o;
  o.max_uncommitted_bytes = r.chance(300) ? r.between(1, 4) * kRecord : r.between(8, 64) * kRecord;
  o.send_window_bytes = r.between(1, 24) * kRecord;
  o.batch_bytes = r.between(1, 6) * kRecord;
  o.lag_budget_bytes = r.chance(500) ? r.between(3, 15) * kRecord : r.between(20, 200) * kRecord;
  o.resend_after_ms = r.between(100, 900);
  o.hello_again_ms = o.resend_after_ms / 4;
  o.leave_in_sync_after_ms = r.between(200, 1500);
  o.propose_again_after_ms = r.between(100, 700);
  o.bugs = bugs;
  return o;
}

void draw_faults(Random& r, Parameters& p) {
  if (r.chance(500)) p.lost_per_mille = r.between(1, 60);
  if (r.chance(500)) p.doubled_per_mille = r.between(1, 60);
  if (r.chance(400)) p.reordered_per_mille = r.between(1, 60);
  p.late_messages = r.chance(500);
  p.late_to_new_process = p.late_messages && r.chance(500);
  if (r.chance(800)) p.crash_every_us = r.between(300, 3000) * 1000;
  if (r.chance(500)) p.crash_at_append_per_mille = r.between(1, 30);
  if (r.chance(500)) p.break_every_us = r.between(100, 2000) * 1000;
  if (r.chance(500)) p.partition_every_us = r.between(500, 3000) * 1000;
  p.partition_us_max = r.chance(300) ? 4000000 : 700000;
  if (r.chance(300)) p.full_every_us = r.between(500, 3000) * 1000;
  if (r.chance(500)) p.bump_every_us = r.between(100, 2000) * 1000;
  if (r.chance(400)) p.slow_sync_per_mille = r.between(1, 100);
  if (r.chance(400)) p.config_lost_per_mille = r.between(10, 300);
  if (r.chance(500)) p.reply_lost_per_mille = r.between(1, 100);
  if (r.chance(500)) p.request_doubled_per_mille = r.between(1, 100);
}

}  // namespace

Parameters draw_parameters(Random& r, uint64_t operations, const replication::ProtocolBugs& bugs) {
  Parameters p;
  uint64_t n = r.below(10);
  p.remotes = n < 1 ? 0 : n < 6 ? 1 : 2;
  if (r.chance(400)) p.ack = replication::AckMode::kAll;
  p.group = draw_limits(r, bugs);
  p.lan_us_max = r.between(100, 1000);
  p.wan_us = r.chance(300) ? r.between(40000, 200000) : r.between(2000, 40000);
  p.wan_jitter_us = r.below(p.wan_us / 2);
  p.sync_us_max = r.chance(200) ? r.between(5000, 50000) : r.between(100, 5000);
  p.apply_us_max = r.between(1000, 100000);
  p.checkpoint_us_max = r.between(5000, 500000);
  p.config_us_max = r.chance(300) ? r.between(100000, 1000000) : r.between(2000, 50000);
  p.group.resend_after_ms += (p.wan_us + 2 * p.wan_jitter_us + 2 * p.sync_us_max) / 1000 + 100;
  draw_faults(r, p);
  p.remote_stays_away = p.remotes > 0 && r.chance(80);
  p.clients = r.between(1, 4);
  p.depth = r.between(1, 8);
  p.blocks = r.between(1, 4);
  p.operations = operations;
  p.chaos_us = r.between(2000, 6000) * 1000;
  p.think_us_max = 2 * p.chaos_us * p.clients * p.depth / (operations + 1);
  p.client_timeout_us = r.between(50, 600) * 1000;
  p.full_secondary = r.chance(250);
  return p;
}

}  // namespace shima::simulation
