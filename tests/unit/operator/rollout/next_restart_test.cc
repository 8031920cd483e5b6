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

TEST(NextRestart, WaitsWhileAVolumeHasACopyThatIsBehind) {
  HealthView health = whole();
  health.unhealthy = {{.name = "vm1", .reasons = {"site b is 3 MB behind"}}};
  const RolloutStep step = next_restart(kTwoSites, all_old(), health);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("vm1"), std::string::npos) << step.reason;
  EXPECT_NE(step.reason.find("3 MB behind"), std::string::npos) << step.reason;
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

}  // namespace
}  // namespace shima
