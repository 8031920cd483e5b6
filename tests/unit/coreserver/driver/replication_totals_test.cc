#include "coreserver/driver/replication_totals.h"

#include <gtest/gtest.h>

#include <map>

namespace shima {
namespace {

using replication::Role;
using Peer = replication::ReplicaGroup::PeerStatus;

Peer peer(Role role, bool connected, bool synced, bool whole, uint64_t lag_bytes = 0, uint64_t lag_ms = 0) {
  Peer p;
  p.role = role;
  p.connected = connected;
  p.synced = synced;
  p.whole = whole;
  p.lag_bytes = lag_bytes;
  p.lag_ms = lag_ms;
  return p;
}

GroupSnapshot group(Role role, bool serving, std::vector<Peer> peers) {
  GroupSnapshot s;
  s.role = role;
  s.serving = serving;
  s.peers = std::move(peers);
  return s;
}

std::map<std::string, double> values(const ReplicationTotals& totals) {
  std::map<std::string, double> values;
  for (const Statistic& one : totals.statistics()) values[one.name] = one.value;
  return values;
}

TEST(ReplicationTotals, AHealthyGroupIsCountedAndLacksNothing) {
  ReplicationTotals totals;
  totals.add(group(Role::kPrimary, true,
                   {peer(Role::kSecondary, true, true, true), peer(Role::kRemote, true, true, true)}));
  for (const auto& [name, value] : values(totals)) EXPECT_EQ(value, name == "primary_groups" ? 1 : 0) << name;
}

TEST(ReplicationTotals, OnlyThePrimaryCounts) {
  ReplicationTotals totals;
  for (const Role role : {Role::kNone, Role::kSecondary, Role::kRemote})
    totals.add(group(role, false, {peer(Role::kRemote, false, false, false, 5, 5)}));
  for (const auto& [name, value] : values(totals)) EXPECT_EQ(value, 0) << name;
}

TEST(ReplicationTotals, ASecondaryThatHasNotCaughtUpIsNoSecondCopy) {
  ReplicationTotals totals;
  totals.add(group(Role::kPrimary, false, {peer(Role::kSecondary, true, false, true)}));
  totals.add(group(Role::kPrimary, true, {peer(Role::kSecondary, false, true, true)}));
  auto told = values(totals);
  EXPECT_EQ(told["primary_groups_without_second_copy"], 2);
  EXPECT_EQ(told["primary_groups_not_serving"], 1);
  EXPECT_EQ(told["remote_members_away"], 0);
}

TEST(ReplicationTotals, LagIsThatOfTheWorstRemoteOfAllShards) {
  ReplicationTotals one, other;
  one.add(group(
      Role::kPrimary, true,
      {peer(Role::kRemote, true, true, true, 10, 900), peer(Role::kRemote, false, true, false, 70, 20)}));
  other.add(group(Role::kPrimary, true, {peer(Role::kRemote, true, true, true, 30, 40)}));
  one.add(other);
  auto told = values(one);
  EXPECT_EQ(told["primary_groups"], 2);
  EXPECT_EQ(told["greatest_remote_lag_bytes"], 70);
  EXPECT_EQ(told["greatest_remote_lag_ms"], 900);
  EXPECT_EQ(told["remote_members_away"], 1);
  EXPECT_EQ(told["remote_members_not_whole"], 1);
}

TEST(ReplicationTotals, AServerWithoutGroupsHasNothingToTell) {
  ShardSet shards(2);
  EXPECT_EQ(collect_replication_totals(shards), std::nullopt) << "shards that do not run answer nothing";
  for (size_t i = 0; i < shards.size(); i++) shards[i].loop().start();
  const auto totals = collect_replication_totals(shards);
  ASSERT_TRUE(totals.has_value());
  EXPECT_EQ(totals->primaries, 0u);
  for (size_t i = 0; i < shards.size(); i++) shards[i].stop();
}

}  // namespace
}  // namespace shima
