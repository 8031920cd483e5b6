#include "operator/rollout/next_restart.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using Kind = RolloutStep::Kind;

CoreServerPod pod(const std::string& site, uint32_t ordinal, bool up_to_date = false) {
  return {.name = "shima-core-" + site + "-" + std::to_string(ordinal),
          .site = site,
          .ordinal = ordinal,
          .ready = true,
          .up_to_date = up_to_date};
}

HealthView whole() { return {.answered = true, .etcd_reachable = true, .volumes = 4}; }

const std::vector<CoreServerSet> kTwoSites{{.site = "a", .wanted = 2}, {.site = "b", .wanted = 2}};

std::vector<CoreServerPod> all_old() { return {pod("b", 0), pod("a", 0), pod("b", 1), pod("a", 1)}; }

TEST(NextRestart, NothingIsDoneWhenAllRunTheNewestVersion) {
  const RolloutStep step = next_restart(
      kTwoSites, {pod("a", 0, true), pod("a", 1, true), pod("b", 0, true), pod("b", 1, true)}, whole());
  EXPECT_EQ(step.kind, Kind::kDone);
  EXPECT_EQ(step.up_to_date, 4u);
  EXPECT_EQ(step.total, 4u);
}

TEST(NextRestart, BeginsWithTheHighestOrdinalOfTheFirstSite) {
  const RolloutStep step = next_restart(kTwoSites, all_old(), whole());
  EXPECT_EQ(step.kind, Kind::kRestart);
  EXPECT_EQ(step.pod, "shima-core-a-1");
}

TEST(NextRestart, RestartsAllOneAfterAnother) {
  auto pods = all_old();
  std::vector<std::string> order;
  for (RolloutStep step = next_restart(kTwoSites, pods, whole()); step.kind == Kind::kRestart;
       step = next_restart(kTwoSites, pods, whole())) {
    order.push_back(step.pod);
    ASSERT_LE(order.size(), 4u);
    for (CoreServerPod& each : pods)
      if (each.name == step.pod) each.up_to_date = true;
  }
  EXPECT_EQ(order, (std::vector<std::string>{"shima-core-a-1", "shima-core-a-0", "shima-core-b-1",
                                             "shima-core-b-0"}));
}

TEST(NextRestart, WaitsWhileAnotherServerIsNotReady) {
  auto pods = all_old();
  pods[0].ready = false;
  pods[0].up_to_date = true;
  const RolloutStep step = next_restart(kTwoSites, pods, whole());
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("b/core-0"), std::string::npos) << step.reason;
}

TEST(NextRestart, WaitsWhileAPodIsMissing) {
  auto pods = all_old();
  pods.pop_back();
  EXPECT_EQ(next_restart(kTwoSites, pods, whole()).kind, Kind::kWait);
}

TEST(NextRestart, WaitsWhileAPodIsEnding) {
  auto pods = all_old();
  pods[1].ending = true;
  EXPECT_EQ(next_restart(kTwoSites, pods, whole()).kind, Kind::kWait);
}

TEST(NextRestart, WaitsWhileAVolumeIsUnhealthyByTheRecords) {
  HealthView health = whole();
  health.unhealthy = {{.name = "vm1", .reasons = {"2 remote members are not whole"}}};
  const RolloutStep step = next_restart(kTwoSites, all_old(), health);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_EQ(step.reason,
            "waiting until all copies have caught up: volumes vm1 (2 remote members are not whole)");
}

// Two servers, whose groups are all well but for `what` of b/core-0's.
HealthView all_but(const ServerReplication& what) {
  HealthView health = whole();
  health.replication = {{.server = "a/core-0", .told = true}, what};
  health.replication.back().server = "b/core-0";
  return health;
}

std::string reason_of(const ServerReplication& what, bool heed_other_sites = true) {
  const RolloutStep step = next_restart(kTwoSites, all_old(), all_but(what), heed_other_sites);
  return step.kind == Kind::kWait ? step.reason : "";
}

TEST(NextRestart, WaitsForWhatAServerSaysOfItsGroupsAndNamesIt) {
  const std::string begin = "waiting until all copies have caught up: b/core-0 ";
  EXPECT_EQ(reason_of({.told = true}), "");
  EXPECT_EQ(reason_of({.told = true, .not_serving = 1}), begin + "does not serve 1 group");
  EXPECT_EQ(reason_of({.told = true, .without_second_copy = 2}),
            begin + "has 2 groups without the second copy");
  EXPECT_EQ(reason_of({.told = true, .remotes_away = 9}), begin + "does not reach 9 copies at other sites");
  EXPECT_EQ(reason_of({.told = true, .remotes_not_whole = 1}),
            begin + "has 1 copy at other sites that are not whole");
  EXPECT_EQ(reason_of({.error = "connection refused"}),
            begin + "does not say how its groups are: connection refused");
}

TEST(NextRestart, ACopyHasCaughtUpIfItIsLittleBehindInTimeOrInBytes) {
  const auto lag = [](uint64_t ms, uint64_t bytes) {
    return reason_of({.told = true, .lag_bytes = bytes, .lag_ms = ms});
  };
  EXPECT_EQ(lag(kCaughtUpMs - 1, 6ull << 30), "");
  EXPECT_EQ(lag(3'600'000, kCaughtUpBytes - 1), "");
  EXPECT_EQ(lag(kCaughtUpMs, kCaughtUpBytes),
            "waiting until all copies have caught up: b/core-0 has a copy at another site that is behind by "
            "more than 30 s and 64 MiB");
}

TEST(NextRestart, CopiesAtOtherSitesAreNotWaitedForIfSomebodySaysSo) {
  for (const ServerReplication& elsewhere :
       {ServerReplication{.told = true, .remotes_away = 9},
        ServerReplication{.told = true, .remotes_not_whole = 1},
        ServerReplication{.told = true, .lag_bytes = 6ull << 30, .lag_ms = 60'000}}) {
    EXPECT_TRUE(next_restart(kTwoSites, all_old(), all_but(elsewhere)).waits_for_other_sites);
    EXPECT_EQ(reason_of(elsewhere, false), "");
  }
  for (const ServerReplication& at_home : {ServerReplication{.told = true, .not_serving = 1},
                                           ServerReplication{.told = true, .without_second_copy = 1},
                                           ServerReplication{.error = "connection refused"}}) {
    EXPECT_FALSE(next_restart(kTwoSites, all_old(), all_but(at_home)).waits_for_other_sites);
    EXPECT_NE(reason_of(at_home, false), "");
  }
}

// The records do not say whose copy it is; the servers do.
TEST(NextRestart, WhatTheRecordsSayIsLeftOutOfAccountOnlyWhereAllServersTellOfTheirGroups) {
  HealthView health = all_but({.told = true, .remotes_not_whole = 1});
  health.unhealthy = {{.name = "vm1", .reasons = {"1 remote members are not whole"}}};
  EXPECT_EQ(next_restart(kTwoSites, all_old(), health, false).kind, Kind::kRestart);
  health.replication[0].told = false;
  const RolloutStep step = next_restart(kTwoSites, all_old(), health, false);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_FALSE(step.waits_for_other_sites) << "to say it again would not help";
  health.replication.clear();
  EXPECT_EQ(next_restart(kTwoSites, all_old(), health, false).kind, Kind::kWait);
}

TEST(NextRestart, AServerThatIsTooOldToTellHoldsNothingUp) { EXPECT_EQ(reason_of({.told = false}), ""); }

TEST(NextRestart, WaitsWhileTheServersCouldNotBeAsked) {
  HealthView health = whole();
  health.replication_error = "timeout";
  const RolloutStep step = next_restart(kTwoSites, all_old(), health);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_EQ(step.reason, "nobody tells how the groups are: timeout");
}

TEST(NextRestart, WaitsWhileNobodyTellsHowTheCopiesAre) {
  const RolloutStep step = next_restart(kTwoSites, all_old(), {.error = "connection refused"});
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("connection refused"), std::string::npos) << step.reason;
}

TEST(NextRestart, WaitsWhileEtcdIsAway) {
  HealthView health = whole();
  health.etcd_reachable = false;
  EXPECT_EQ(next_restart(kTwoSites, all_old(), health).kind, Kind::kWait);
}

TEST(NextRestart, WaitsWhileAServerHasNoLease) {
  HealthView health = whole();
  health.servers_away = {"b/core-1"};
  const RolloutStep step = next_restart(kTwoSites, all_old(), health);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("b/core-1"), std::string::npos) << step.reason;
}

TEST(NextRestart, AServerThatDoesNotServeAnywayIsRestartedFirstAndWithoutWaiting) {
  auto pods = all_old();
  pods[0].ready = false;  // b/core-0, of the old version
  HealthView health = whole();
  health.unhealthy = {{.name = "vm1", .reasons = {"b/core-0 is away"}}};
  const RolloutStep step = next_restart(kTwoSites, pods, health);
  EXPECT_EQ(step.kind, Kind::kRestart);
  EXPECT_EQ(step.pod, "shima-core-b-0");
}

TEST(NextRestart, AServerThatDoesNotServeWaitsForTheOneThatWasRestartedJustNow) {
  auto pods = all_old();
  pods[0].ready = pods[2].ready = false;         // b/core-0, old
  pods[2].up_to_date = pods[2].settling = true;  // b/core-1
  const RolloutStep step = next_restart(kTwoSites, pods, whole());
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("shima-core-b-1"), std::string::npos) << step.reason;
  pods[2].settling = false;
  EXPECT_EQ(next_restart(kTwoSites, pods, whole()).pod, "shima-core-b-0");
  pods.erase(pods.begin() + 2);
  EXPECT_EQ(next_restart(kTwoSites, pods, whole()).kind, Kind::kWait) << "its pod is still to be made";
}

// A release that skips one: the server says so itself, and the upgrade stops at the first.
TEST(NextRestart, WaitsWithTheWordsOfAServerThatRefusesToRun) {
  auto pods = all_old();
  pods[0].ready = false;
  pods[0].up_to_date = true;
  HealthView health = whole();
  health.refused = {{"a/core-9", "0.3.0", "of no concern"},
                    {"b/core-0", "0.3.0", "only neighbouring releases"}};
  const RolloutStep step = next_restart(kTwoSites, pods, health);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_EQ(step.reason, "b/core-0 refuses to run: only neighbouring releases");
}

}  // namespace
}  // namespace shima
