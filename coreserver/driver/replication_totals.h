// What a server says of all groups that it is primary of: sums and worst cases, without a label a volume, so
// that a rule of Prometheus costs the same with ten volumes and with ten thousand.
//
// Threads: add() is for one; collect() may be called from any but a shard's loop, and blocks up to 2 s.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/shard.h"
#include "coreserver/rpc/server_facade.h"

namespace shima {

struct ReplicationTotals {
  uint64_t primaries = 0;
  uint64_t not_serving = 0;          // primaries that answer no client
  uint64_t without_second_copy = 0;  // the secondary is away, or has not caught up: writes wait
  uint64_t remotes_away = 0;         // members at other sites that are not connected
  uint64_t remotes_not_whole = 0;    // past the lag budget (R7), or being filled again
  uint64_t greatest_lag_bytes = 0;   // of one group's remote
  uint64_t greatest_lag_ms = 0;

  bool operator==(const ReplicationTotals&) const = default;

  // Of a group that has another role here nothing is counted: its primary knows.
  void add(const GroupSnapshot& group);
  void add(const ReplicationTotals& other);
  std::vector<Statistic> statistics() const;
};

// Of all groups of the server; none if a shard does not answer in time.
std::optional<ReplicationTotals> collect_replication_totals(ShardSet& shards);

}  // namespace shima
