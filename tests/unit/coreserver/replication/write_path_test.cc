// A write from arrival to the trim of its second copy, step by step.
#include <gtest/gtest.h>

#include "tests/unit/coreserver/replication/scripted_group.h"

namespace shima::replication {
namespace {

TEST(Commit, NeedsBothDisks) {
  ScriptedGroup g;
  g.stopped_disks = {kP, kS};
  uint64_t write = g.write(1);
  g.run();
  EXPECT_FALSE(g.acked(write));
  g.sync(kP);
  g.run();
  EXPECT_FALSE(g.acked(write)) << "the secondary's disk has not confirmed";
  EXPECT_EQ(g.core(kP).committed(), Sequence(0));
  g.sync(kS);
  g.run();
  EXPECT_TRUE(g.acked(write));
  EXPECT_EQ(g.nodes[kP].commit, Sequence(1));
}

TEST(Commit, TheSecondarysDiskAloneIsNotEnough) {
  ScriptedGroup g;
  g.stopped_disks = {kP};
  uint64_t write = g.write(1);
  g.run();
  EXPECT_FALSE(g.acked(write));
  g.sync(kP);
  g.run();
  EXPECT_TRUE(g.acked(write));
}

TEST(Acknowledgement, DoesNotWaitForAnyRemote) {
  ScriptedGroup g(2);
  g.stopped_wires = {{kP, kR1}, {kP, kR2}};
  uint64_t write = g.write(1);
  g.run();
  EXPECT_TRUE(g.acked(write));
}

TEST(SecondCopy, LostReplyIsNotAcknowledgedTwice) {
  ScriptedGroup g;
  g.stopped_wires = {{kS, kP}};
  uint64_t write = g.write(1);
  g.run();
  g.wire.clear();  // the secondary's confirmation is lost
  g.stopped_wires.clear();
  g.disconnect(kS);
  g.connect(kS);
  g.run();
  EXPECT_TRUE(g.acked(write));
  EXPECT_EQ(g.answers[write].times, 1);
  EXPECT_EQ(g.core(kS).log().last(), Sequence(1));
}

TEST(SecondCopy, ALostRecordIsSentAgainAfterAWhile) {
  ScriptedGroup g;
  g.stopped_wires = {{kP, kS}};
  uint64_t write = g.write(1);
  g.run();
  g.wire.clear();
  g.stopped_wires.clear();
  g.tick(6000);
  g.tick(6000);
  EXPECT_TRUE(g.acked(write));
}

TEST(Duplicate, GetsTheAnswerOfTheFirstExecution) {
  ScriptedGroup g;
  uint64_t first = g.write(1);
  g.run();
  uint64_t again = g.write(1);
  g.run();
  EXPECT_TRUE(g.acked(again));
  EXPECT_EQ(g.answers[again].position, g.answers[first].position);
  EXPECT_EQ(g.core(kP).log().last(), Sequence(1));
}

TEST(Duplicate, WaitsUntilTheFirstIsCommitted) {
  ScriptedGroup g;
  g.stopped_disks = {kS};
  g.write(1);
  uint64_t again = g.write(1);
  g.run();
  EXPECT_FALSE(g.acked(again));
  g.sync(kS);
  g.run();
  EXPECT_TRUE(g.acked(again));
}

TEST(Duplicate, OfASettledRequestIsRefused) {
  ScriptedGroup g;
  g.write(1);
  g.write(2, 1, 2);
  uint64_t late = g.write(1);
  g.run();
  EXPECT_TRUE(g.refused(late, Code::kRequestTooOld));
  EXPECT_EQ(g.core(kP).log().last(), Sequence(2));
}

TEST(Admission, RefusesWhatNamesNoClient) {
  ScriptedGroup g;
  uint64_t write = g.write(1, 0);
  EXPECT_TRUE(g.refused(write, Code::kInvalidArgument));
}

TEST(Admission, RefusesAtTheSecondary) {
  ScriptedGroup g;
  g.feed(kS, ClientWrite{99, ClientId(1), RequestId(1), RequestId(1)});
  EXPECT_TRUE(g.refused(99, Code::kNotPrimary));
}

TEST(Admission, PushesBackWhenTheSecondaryIsSilent) {
  GroupOptions options;
  options.max_uncommitted_bytes = 10000;
  ScriptedGroup g(1, AckMode::kLocal, options);
  g.stopped_wires = {{kP, kS}};
  for (uint64_t i = 1; i <= 10; i++) g.write(i);
  EXPECT_LE(g.core(kP).log().last(), Sequence(4));
  EXPECT_TRUE(g.refused(10, Code::kUnavailable));
  g.stopped_wires.clear();
  g.run();
  EXPECT_TRUE(g.acked(1));
}

TEST(FullDisk, RefusesAndNothingIsLost) {
  ScriptedGroup g;
  uint64_t before = g.write(1);
  g.feed(kP, SpaceChanged{true});
  uint64_t refused = g.write(2);
  uint64_t known = g.write(1);
  g.run();
  EXPECT_TRUE(g.acked(before));
  EXPECT_TRUE(g.refused(refused, Code::kNoSpace));
  EXPECT_TRUE(g.acked(known)) << "what was executed is answered also by a full disk";
  g.feed(kP, SpaceChanged{false});
  uint64_t again = g.write(2);
  g.run();
  EXPECT_TRUE(g.acked(again));
}

TEST(FullDisk, OfTheSecondaryRefusesWritesUntilItHasSpace) {
  ScriptedGroup g;
  g.feed(kS, SpaceChanged{true});
  g.run();
  uint64_t refused = g.write(1);
  EXPECT_TRUE(g.refused(refused, Code::kNoSpace));
  g.feed(kS, SpaceChanged{false});
  g.run();
  uint64_t write = g.write(1);
  g.run();
  EXPECT_TRUE(g.acked(write));
}

TEST(FullDisk, OfTheSecondaryIsAskedAboutWhenItsWordsCameInTheWrongOrder) {
  ScriptedGroup g;
  g.stopped_wires = {{kS, kP}};
  g.feed(kS, SpaceChanged{true});
  g.feed(kS, SpaceChanged{false});
  ASSERT_EQ(g.wire.size(), 2u);
  std::swap(g.wire[0], g.wire[1]);
  g.stopped_wires.clear();
  g.run();
  EXPECT_TRUE(g.refused(g.write(1), Code::kNoSpace)) << "the last that was heard";
  g.tick(10'000);
  uint64_t later = g.write(1);
  g.run();
  EXPECT_TRUE(g.acked(later));
}

TEST(FullDisk, OfARemoteStopsNobody) {
  ScriptedGroup g;
  g.feed(kR1, SpaceChanged{true});
  uint64_t write = g.write(1);
  g.run();
  EXPECT_TRUE(g.acked(write));
  EXPECT_EQ(g.core(kR1).log().last(), Sequence(0));
  g.feed(kR1, SpaceChanged{false});
  g.run();
  EXPECT_EQ(g.core(kR1).log().last(), Sequence(1));
}

TEST(RemoteShipping, SendsOnlyCommitted) {
  ScriptedGroup g;
  g.stopped_disks = {kS};
  g.write(1);
  g.run();
  EXPECT_TRUE(g.shipped.empty());
  g.sync(kS);
  g.run();
  ASSERT_EQ(g.shipped.size(), 1u);
  EXPECT_EQ(g.shipped[0].last, Sequence(1));
  EXPECT_EQ(g.core(kR1).visible(), Sequence(1));
}

TEST(RemoteShipping, FillsBatchesAndStopsAtTheWindow) {
  GroupOptions options;
  options.batch_bytes = 9000;  // two records
  options.send_window_bytes = 16000;
  ScriptedGroup g(1, AckMode::kLocal, options);
  g.disconnect(kR1);
  for (uint64_t i = 1; i <= 20; i++) g.write(i);
  g.run();
  g.shipped.clear();
  g.connect(kR1);
  g.stopped_wires = {{kR1, kP}};
  g.run();
  g.stopped_wires.clear();  // the greeting's answer comes; answers to records are stopped again
  g.feed(kP, PeerMessage{kR1, g.wire.front().message});
  g.wire.pop_front();
  ASSERT_EQ(g.shipped.size(), 2u);
  EXPECT_EQ(g.shipped[0].last, Sequence(2));
  EXPECT_EQ(g.shipped[1].last, Sequence(4));
  g.run();
  EXPECT_EQ(g.core(kR1).log().durable(), Sequence(20));
}

TEST(JournalTrim, WaitsForTheSlowestWholeRemote) {
  ScriptedGroup g(2);
  g.stopped_wires = {{kP, kR2}};
  g.write(1);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(0));
  g.stopped_wires.clear();
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(1));
}

TEST(JournalTrim, IgnoresARemoteOnlyAfterTheRecordSaysSo) {
  ScriptedGroup g(2);
  g.disconnect(kR2);
  g.write(1);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(0));
  g.change(kR2, false, false);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(1));
}

TEST(JournalTrim, ThePrimaryKeepsWhatIsNotCheckpointed) {
  ScriptedGroup g;
  g.write(1);
  g.write(2);
  g.run();
  EXPECT_EQ(g.nodes[kP].released, Sequence(0));
  g.feed(kP, Checkpointed{Sequence(1)});
  EXPECT_EQ(g.nodes[kP].released, Sequence(1));
}

TEST(Fold, TheSecondaryMakesBlocksWhileNoRemoteIsWhole) {
  ScriptedGroup g;
  g.change(kR1, false, false);
  g.disconnect(kR1);
  g.write(1);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].commit, Sequence(1));
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(0));
  g.feed(kS, Checkpointed{Sequence(1)});
  EXPECT_EQ(g.core(kS).folded(), Sequence(1));
  g.connect(kR1);
  g.run();
  g.change(kR1, true, true);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].blocks_dropped, 1);
}

TEST(Fold, AFullSecondaryAlwaysMakesItsOwnCopyAndDropsNoRecordBefore) {
  ScriptedGroup g;
  g.config.full_secondary = true;
  g.change(kR1, true, true);
  g.write(1);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].commit, Sequence(1));
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(0));
  EXPECT_EQ(g.nodes[kS].released, Sequence(0));
  g.feed(kS, Checkpointed{Sequence(1)});
  EXPECT_EQ(g.nodes[kS].released, Sequence(1));
  EXPECT_EQ(g.core(kS).folded(), Sequence(1));
  EXPECT_EQ(g.nodes[kS].blocks_dropped, 0);
}

TEST(Fold, BlocksThatWereAskedForButNotCheckpointedAreDroppedToo) {
  ScriptedGroup g;
  g.change(kR1, false, false);
  g.write(1);
  g.run();
  g.tick(100);
  ASSERT_EQ(g.nodes[kS].commit, Sequence(1));
  g.change(kR1, true, true);
  g.run();
  g.tick(100);
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(1));
  EXPECT_EQ(g.nodes[kS].blocks_dropped, 1);
}

}  // namespace
}  // namespace shima::replication
