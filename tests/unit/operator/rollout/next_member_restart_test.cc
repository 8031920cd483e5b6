#include "operator/rollout/next_member_restart.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using Kind = RolloutStep::Kind;

const std::vector<CoreServerSet> kSets{{"a", 1}, {"b", 1}, {"c", 1}};

std::vector<CoreServerPod> members() {
  std::vector<CoreServerPod> pods;
  for (const char* site : {"a", "b", "c"})
    pods.push_back({.name = std::string("etcd-") + site, .site = site, .ready = true});
  return pods;
}

TEST(NextMemberRestart, RestartsOneWhileAllOthersAreReady) {
  const RolloutStep step = next_member_restart(kSets, members());
  EXPECT_EQ(step.kind, Kind::kRestart);
  EXPECT_EQ(step.pod, "etcd-a");
  EXPECT_EQ(step.total, 3u);
}

TEST(NextMemberRestart, WaitsForTheOneThatWasRestarted) {
  auto pods = members();
  pods[0].up_to_date = true;
  pods[0].ready = false;
  const RolloutStep step = next_member_restart(kSets, pods);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("etcd-a"), std::string::npos) << step.reason;
}

TEST(NextMemberRestart, WaitsWhileOneIsEndingOrMissing) {
  auto pods = members();
  pods[1].ending = true;
  EXPECT_EQ(next_member_restart(kSets, pods).kind, Kind::kWait);
  pods = members();
  pods.pop_back();
  EXPECT_EQ(next_member_restart(kSets, pods).kind, Kind::kWait);
}

TEST(NextMemberRestart, TheOneThatIsNotReadyAnywayGoesFirst) {
  auto pods = members();
  pods[2].ready = false;
  const RolloutStep step = next_member_restart(kSets, pods);
  EXPECT_EQ(step.kind, Kind::kRestart);
  EXPECT_EQ(step.pod, "etcd-c");
}

TEST(NextMemberRestart, OfTwoThatAreNotReadyOneGoesAtATime) {
  auto pods = members();
  pods[1].ready = pods[2].ready = false;
  EXPECT_EQ(next_member_restart(kSets, pods).pod, "etcd-b");
  pods[1].ending = true;
  EXPECT_EQ(next_member_restart(kSets, pods).kind, Kind::kWait);
}

TEST(NextMemberRestart, OneThatIsNotReadyWaitsForTheOneThatWasRestartedJustNow) {
  auto pods = members();
  pods[0].up_to_date = pods[0].settling = true;
  pods[0].ready = pods[1].ready = false;
  const RolloutStep step = next_member_restart(kSets, pods);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_NE(step.reason.find("etcd-a"), std::string::npos) << step.reason;
  pods[0].settling = false;  // it needs the others
  EXPECT_EQ(next_member_restart(kSets, pods).pod, "etcd-b");
  pods.erase(pods.begin());
  EXPECT_EQ(next_member_restart(kSets, pods).kind, Kind::kWait) << "its pod is still to be made";
}

// Of three etcd needs the two others: they keep their version, and core servers go on.
TEST(NextMemberRestart, AMemberOfARemovedSiteIsNeitherRestartedNorWaitedFor) {
  auto pods = members();
  pods[2].ready = false;
  RolloutStep step = next_member_restart(kSets, pods, {"c"});
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_TRUE(step.core_servers_go_on);
  EXPECT_NE(step.reason.find("etcd-a keeps its old version: a member at removed site c is away"),
            std::string::npos)
      << step.reason;
  pods[2].ending = true;  // its node is off: for ever
  EXPECT_TRUE(next_member_restart(kSets, pods, {"c"}).core_servers_go_on);
  pods.pop_back();
  EXPECT_TRUE(next_member_restart(kSets, pods, {"c"}).core_servers_go_on);
  pods[0].up_to_date = true;  // a person has restarted it
  EXPECT_EQ(next_member_restart(kSets, pods, {"c"}).reason.find("etcd-b keeps its old version"), 0u);
  pods[1].up_to_date = true;
  EXPECT_EQ(next_member_restart(kSets, pods, {"c"}).kind, Kind::kDone);
}

TEST(NextMemberRestart, WithAMemberOfARemovedSiteAwayOthersRestartWhileAMajorityStays) {
  auto sets = kSets;
  auto pods = members();
  for (const char* site : {"d", "e"}) {
    sets.push_back({site, 1});
    pods.push_back({.name = std::string("etcd-") + site, .site = site, .ready = true});
  }
  pods[0].ready = false;
  EXPECT_EQ(next_member_restart(sets, pods, {"a"}).pod, "etcd-b") << "three of five stay";
  pods[1].ready = false;
  EXPECT_TRUE(next_member_restart(sets, pods, {"a", "b"}).core_servers_go_on) << "two of five would";
}

TEST(NextMemberRestart, OthersThatAreNotReadyAreWaitedForAlsoWithoutARemovedSite) {
  auto pods = members();
  pods[0].up_to_date = true;
  pods[0].ready = pods[2].ready = false;
  const RolloutStep step = next_member_restart(kSets, pods, {"c"});
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_FALSE(step.core_servers_go_on);
  EXPECT_NE(step.reason.find("waiting until etcd-a is ready"), std::string::npos) << step.reason;
}

TEST(NextMemberRestart, AMemberOfARemovedSiteThatIsReadyCounts) {
  EXPECT_EQ(next_member_restart(kSets, members(), {"a"}).pod, "etcd-b");
}

TEST(NextMemberRestart, NothingIsDoneWhenAllRunTheNewestOrEtcdIsSomebodyElses) {
  auto pods = members();
  for (CoreServerPod& pod : pods) pod.up_to_date = true;
  EXPECT_EQ(next_member_restart(kSets, pods).kind, Kind::kDone);
  EXPECT_EQ(next_member_restart({}, {}).kind, Kind::kDone);
}

}  // namespace
}  // namespace shima
