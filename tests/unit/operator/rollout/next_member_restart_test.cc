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

TEST(NextMemberRestart, NothingIsDoneWhenAllRunTheNewestOrEtcdIsSomebodyElses) {
  auto pods = members();
  for (CoreServerPod& pod : pods) pod.up_to_date = true;
  EXPECT_EQ(next_member_restart(kSets, pods).kind, Kind::kDone);
  EXPECT_EQ(next_member_restart({}, {}).kind, Kind::kDone);
}

}  // namespace
}  // namespace shima
