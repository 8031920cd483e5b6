#include "csi/node/repair_decision.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using Steps = std::vector<RepairStep>;

StageRecord staged(bool block = false) {
  StageRecord record;
  record.volume = "vm1";
  record.staging_path = "/stage";
  record.block = block;
  record.phase = StagePhase::kStaged;
  return record;
}

StageRecord published(bool block = false) {
  StageRecord record = staged(block);
  record.targets = {{"/t1", false, {}}, {"/t2", true, {}}};
  if (block) record.loop = 3, record.read_only_loop = 4;
  return record;
}

FoundVolume whole() {
  FoundVolume found;
  found.mount = FoundMount::kHealthy;
  found.loop_good = found.read_only_loop_good = true;
  found.targets = {{"/t1", FoundTarget::kBound}, {"/t2", FoundTarget::kBound}};
  return found;
}

TEST(RepairDecision, NothingIsDoneToAWholeVolume) {
  EXPECT_EQ(decide_repairs(published(), whole(), ""), Steps{});
  EXPECT_EQ(decide_repairs(published(true), whole(), ""), Steps{});
}

TEST(RepairDecision, ANewVolumeIsMounted) {
  EXPECT_EQ(decide_repairs(staged(), {}, ""), (Steps{{Repair::kMount, ""}}));
  EXPECT_EQ(decide_repairs(staged(true), {}, ""), (Steps{{Repair::kMount, ""}, {Repair::kAttachLoop, ""}}));
}

TEST(RepairDecision, ADeadMountIsMadeAnewAndItsTargetsBoundAgain) {
  for (const FoundMount dead : {FoundMount::kDead, FoundMount::kOutdated}) {
    FoundVolume found = whole();
    found.mount = dead;
    EXPECT_EQ(decide_repairs(published(), found, ""), (Steps{{Repair::kUnmount, ""},
                                                             {Repair::kMount, ""},
                                                             {Repair::kUnbindTarget, "/t1"},
                                                             {Repair::kBindTarget, "/t1"},
                                                             {Repair::kUnbindTarget, "/t2"},
                                                             {Repair::kBindTarget, "/t2"}}));
  }
}

TEST(RepairDecision, LoopDevicesOfADeadMountAreFreedBeforeIt) {
  FoundVolume found = whole();
  found.mount = FoundMount::kDead;
  const Steps steps = decide_repairs(published(true), found, "");
  ASSERT_GE(steps.size(), 5u);
  EXPECT_EQ(steps[0].repair, Repair::kReleaseLoops);
  EXPECT_EQ(steps[1].repair, Repair::kUnmount);
  EXPECT_EQ(steps[2].repair, Repair::kMount);
  EXPECT_EQ(steps[3].repair, Repair::kAttachLoop);
  EXPECT_EQ(steps[4].repair, Repair::kAttachReadOnlyLoop);
}

TEST(RepairDecision, ALostLoopDeviceRenewsOnlyItsTargets) {
  FoundVolume found = whole();
  found.loop_good = false;
  EXPECT_EQ(decide_repairs(published(true), found, ""),
            (Steps{{Repair::kAttachLoop, ""}, {Repair::kUnbindTarget, "/t1"}, {Repair::kBindTarget, "/t1"}}));
}

TEST(RepairDecision, TargetsWhosePodsHaveGoneAreForgottenButNotTheOneBeingMade) {
  FoundVolume found = whole();
  found.targets = {{"/t1", FoundTarget::kAbsent}};
  EXPECT_EQ(decide_repairs(published(), found, "/t2"),
            (Steps{{Repair::kForgetTarget, "/t1"}, {Repair::kBindTarget, "/t2"}}));
}

TEST(RepairDecision, AFreeTargetIsBoundWithoutUnbinding) {
  FoundVolume found = whole();
  found.targets["/t2"] = FoundTarget::kFree;
  EXPECT_EQ(decide_repairs(published(), found, ""), (Steps{{Repair::kBindTarget, "/t2"}}));
}

TEST(RepairDecision, WhatIsNotOursIsLeftAlone) {
  FoundVolume found = whole();
  found.mount = FoundMount::kForeign;
  EXPECT_EQ(decide_repairs(published(), found, ""), (Steps{{Repair::kRefuseForeignMount, ""}}));
  found = whole();
  found.targets["/t1"] = FoundTarget::kForeign;
  EXPECT_EQ(decide_repairs(published(), found, "")[0], (RepairStep{Repair::kRefuseForeignTarget, "/t1"}));
}

TEST(RepairDecision, AHungMountIsNotTouchedSinceItMayAnswerAgain) {
  FoundVolume found = whole();
  found.mount = FoundMount::kHung;
  EXPECT_EQ(decide_repairs(published(), found, ""), (Steps{{Repair::kRefuseHungMount, ""}}));
}

TEST(RepairDecision, AMountWhoseServerRefusesTheNodeIsNotTouchedSinceItMayBePublishedAgain) {
  FoundVolume found = whole();
  found.mount = FoundMount::kRefused;
  EXPECT_EQ(decide_repairs(published(), found, ""), (Steps{{Repair::kRefuseRefusedMount, ""}}));
}

TEST(RepairDecision, AnInterruptedUnstageIsFinished) {
  StageRecord record = published();
  record.phase = StagePhase::kUnstaging;
  EXPECT_EQ(decide_repairs(record, {}, ""), (Steps{{Repair::kTakeDown, ""}}));
}

TEST(RepairDecision, AReadOnlyDeviceGoesWithItsLastTarget) {
  StageRecord record = published(true);
  record.targets.pop_back();
  EXPECT_EQ(decide_repairs(record, whole(), ""), (Steps{{Repair::kReleaseReadOnlyLoop, ""}}));
}

TEST(RepairDecision, AReadOnlyVolumeHasNoWritableDevice) {
  StageRecord record = staged(true);
  record.read_only = true;
  EXPECT_EQ(decide_repairs(record, {}, ""), (Steps{{Repair::kMount, ""}, {Repair::kAttachReadOnlyLoop, ""}}));
}

}  // namespace
}  // namespace shima
