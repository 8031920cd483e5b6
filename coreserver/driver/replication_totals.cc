#include "coreserver/driver/replication_totals.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace shima {
namespace {

using replication::Role;

constexpr std::chrono::seconds kAnswerWithin(2);

// Outlives the wait: a shard may answer later.
struct Collected {
  std::mutex mutex;
  std::condition_variable changed;
  size_t missing = 0;
  ReplicationTotals all;
};

void answer(const Shard& shard, Collected& collected) {
  ReplicationTotals totals;
  for (const auto& [id, group] : shard.groups()) totals.add(group->snapshot());
  std::lock_guard lock(collected.mutex);
  collected.all.add(totals);
  collected.missing--;
  collected.changed.notify_all();
}

}  // namespace

void ReplicationTotals::add(const GroupSnapshot& group) {
  if (group.role != Role::kPrimary) return;
  primaries++;
  not_serving += !group.serving;
  for (const auto& peer : group.peers) {
    const bool there = peer.connected && peer.synced;
    if (peer.role == Role::kSecondary) without_second_copy += !there;
    if (peer.role != Role::kRemote) continue;
    remotes_away += !there;
    remotes_not_whole += !peer.whole;
    greatest_lag_bytes = std::max(greatest_lag_bytes, peer.lag_bytes);
    greatest_lag_ms = std::max(greatest_lag_ms, peer.lag_ms);
  }
}

void ReplicationTotals::add(const ReplicationTotals& other) {
  primaries += other.primaries;
  not_serving += other.not_serving;
  without_second_copy += other.without_second_copy;
  remotes_away += other.remotes_away;
  remotes_not_whole += other.remotes_not_whole;
  greatest_lag_bytes = std::max(greatest_lag_bytes, other.greatest_lag_bytes);
  greatest_lag_ms = std::max(greatest_lag_ms, other.greatest_lag_ms);
}

std::vector<Statistic> ReplicationTotals::statistics() const {
  const auto told = [](const char* name, const char* unit, uint64_t value) {
    return Statistic{name, unit, static_cast<double>(value)};
  };
  return {told("primary_groups", "count", primaries),
          told("primary_groups_not_serving", "count", not_serving),
          told("primary_groups_without_second_copy", "count", without_second_copy),
          told("remote_members_away", "count", remotes_away),
          told("remote_members_not_whole", "count", remotes_not_whole),
          told("greatest_remote_lag_bytes", "bytes", greatest_lag_bytes),
          told("greatest_remote_lag_ms", "ms", greatest_lag_ms)};
}

std::optional<ReplicationTotals> collect_replication_totals(ShardSet& shards) {
  const auto collected = std::make_shared<Collected>();
  collected->missing = shards.size();
  for (size_t i = 0; i < shards.size(); i++)
    shards[i].loop().post([collected, &shard = shards[i]] { answer(shard, *collected); });
  std::unique_lock lock(collected->mutex);
  if (!collected->changed.wait_for(lock, kAnswerWithin, [&] { return collected->missing == 0; }))
    return std::nullopt;
  return collected->all;
}

}  // namespace shima
