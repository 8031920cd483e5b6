// Ack `all`, the whole set, the in-sync set, and resync.
#include <gtest/gtest.h>

#include "tests/unit/coreserver/replication/scripted_group.h"

namespace shima::replication {
namespace {

GroupOptions small_budget() {
  GroupOptions options;
  options.lag_budget_bytes = 10000;  // two records
  return options;
}

TEST(AckAll, WaitsForEveryInSyncRemote) {
  ScriptedGroup g(2, AckMode::kAll);
  g.stopped_wires = {{kP, kR2}};
  uint64_t write = g.write(1);
  g.run();
  EXPECT_FALSE(g.acked(write));
  g.stopped_wires.clear();
  g.run();
  EXPECT_TRUE(g.acked(write));
}

TEST(AckAll, ARemoteThatHoldsAcksLeavesBeforeTheyResume) {
  ScriptedGroup g(1, AckMode::kAll);
  g.disconnect(kR1);
  uint64_t write = g.write(1);
  g.run();
  g.tick(50);
  g.tick(11000);
  ASSERT_EQ(g.proposals.size(), 1u);
  EXPECT_FALSE(g.proposals[0].in_sync);
  EXPECT_FALSE(g.acked(write)) << "not before the record says that it is out";
  g.change(kR1, true, false);
  EXPECT_TRUE(g.acked(write));
}

// A lost site holds back all groups of a volume at once. They share one record, which each change by
// compare-and-swap makes newer, so that the others' proposals come too late.
TEST(AckAll, ManyGroupsOfAVolumeLeaveOneAfterAnotherWithoutNewWaits) {
  constexpr size_t kGroups = 8;
  std::deque<ScriptedGroup> groups;
  std::vector<uint64_t> writes;
  for (size_t i = 0; i < kGroups; i++) {
    ScriptedGroup& g = groups.emplace_back(1, AckMode::kAll);
    g.disconnect(kR1);
    writes.push_back(g.write(1));
    g.run();
  }
  auto acked = [&] {
    size_t count = 0;
    for (size_t i = 0; i < kGroups; i++) count += groups[i].acked(writes[i]);
    return count;
  };
  uint64_t waited_ms = 0;
  for (; acked() < kGroups && waited_ms < 60000; waited_ms += 50) {
    const ConfigVersion version = groups[0].config.version;
    ScriptedGroup* winner = nullptr;
    for (ScriptedGroup& g : groups) {
      g.proposals.clear();
      g.tick(50);
      if (!winner && !g.proposals.empty() && g.proposals[0].based_on == version) winner = &g;
    }
    if (!winner) continue;
    for (ScriptedGroup& g : groups) g.change(kR1, true, &g != winner && g.config.find(kR1)->in_sync);
  }
  EXPECT_EQ(acked(), kGroups);
  EXPECT_GT(waited_ms, 10000u);
  EXPECT_LT(waited_ms, 11000u);
}

TEST(AckAll, ARemoteThatIsAwayForLongDoesNotHoldTheNextGroupForAsLongAgain) {
  ScriptedGroup g(1, AckMode::kAll);
  g.disconnect(kR1);
  for (int i = 0; i < 220; i++) g.tick(50);
  ASSERT_TRUE(g.proposals.empty()) << "nothing waits for it";
  uint64_t write = g.write(1);
  g.run();
  g.tick(50);
  ASSERT_EQ(g.proposals.size(), 1u);
  EXPECT_FALSE(g.proposals[0].in_sync);
  EXPECT_FALSE(g.acked(write)) << "not before the record says that it is out";
}

TEST(AckAll, ARemoteThatIsBackIsWaitedForAgain) {
  ScriptedGroup g(1, AckMode::kAll);
  g.disconnect(kR1);
  for (int i = 0; i < 220; i++) g.tick(50);
  g.connect(kR1);
  g.run();
  g.tick(50);
  g.disconnect(kR1);
  g.write(1);
  g.run();
  for (int i = 0; i < 190; i++) g.tick(50);
  EXPECT_TRUE(g.proposals.empty());
}

TEST(AckAll, ARetryThatWaitsAloneMakesTheRemoteLeaveToo) {
  ScriptedGroup g(1, AckMode::kAll);
  g.disconnect(kR1);
  g.write(1);
  g.run();
  g.restart(kP, Sequence(1));
  g.feed(kP, PeerUp{kS});
  g.run();
  uint64_t retry = g.write(1);
  g.tick(50);
  g.tick(11000);
  EXPECT_FALSE(g.acked(retry));
  ASSERT_FALSE(g.proposals.empty());
  EXPECT_FALSE(g.proposals.back().in_sync);
}

TEST(AckAll, ARemoteJoinsOnlyWithEveryAcknowledgedRecord) {
  ScriptedGroup g(2, AckMode::kAll);
  g.change(kR2, true, false);
  g.stopped_wires = {{kP, kR2}};
  uint64_t write = g.write(1);
  g.run();
  ASSERT_TRUE(g.acked(write));
  // The primary starts anew and hears of the remote that lacks the record first.
  g.disconnect(kR1);
  g.disconnect(kR2);
  g.restart(kP, Sequence(1));
  g.feed(kP, PeerUp{kS});
  g.run();
  g.feed(kP, PeerUp{kR2});
  g.stopped_wires.clear();
  g.stopped_disks = {kR2};
  g.run();
  g.tick(100);
  for (const ProposeMembership& p : g.proposals) EXPECT_FALSE(p.member == kR2 && p.in_sync);
  g.stopped_disks.clear();
  g.run();
  g.tick(100);
  ASSERT_FALSE(g.proposals.empty());
  EXPECT_EQ(g.proposals.back().member, kR2);
  EXPECT_TRUE(g.proposals.back().in_sync);
}

TEST(AckAll, AJoiningRemoteThatDiesIsLeftOutAgain) {
  ScriptedGroup g(1, AckMode::kAll);
  g.change(kR1, true, false);
  g.tick(100);
  ASSERT_FALSE(g.proposals.empty());
  ASSERT_TRUE(g.proposals.back().in_sync) << "and etcd never says anything about it";
  g.disconnect(kR1);
  uint64_t write = g.write(1);
  g.run();
  EXPECT_FALSE(g.acked(write)) << "etcd may still let it in";
  for (int i = 0; i < 200; i++) g.tick(100);
  ASSERT_FALSE(g.proposals.back().in_sync);
  g.change(kR1, true, false);
  g.run();
  EXPECT_TRUE(g.acked(write));
}

TEST(WholeSet, ARemotePastTheLagBudgetLeaves) {
  ScriptedGroup g(1, AckMode::kLocal, small_budget());
  g.disconnect(kR1);
  for (uint64_t i = 1; i <= 3; i++) g.write(i);
  g.run();
  g.tick(50);
  ASSERT_EQ(g.proposals.size(), 1u);
  EXPECT_FALSE(g.proposals[0].whole);
}

TEST(WholeSet, ARemoteThatANewPrimaryHasNotHeardOfYetStays) {
  ScriptedGroup g;
  for (uint64_t i = 1; i <= 3; i++) g.write(i);
  g.run();
  g.feed(kP, Checkpointed{Sequence(2)});
  ASSERT_EQ(g.nodes[kP].released, Sequence(2));
  RecoveredGroup found;
  found.base = {Term(1), Sequence(2)};
  found.checkpointed = Sequence(2);
  found.history = {{Term(1), Sequence(1)}};
  found.records = {g.nodes[kP].journal.at(Sequence(3))->header};
  g.nodes[kP].core =
      std::make_unique<ReplicaGroup>(kGroup, kP, Incarnation(2), GroupOptions(), std::move(found));
  g.config.members[0].incarnation = Incarnation(2);
  g.config.term = Term(2);
  g.config.version = g.config.version.next();
  g.publish();
  g.feed(kP, PeerUp{kS});
  g.run();
  g.tick(50);
  ASSERT_TRUE(g.core(kP).serving());
  EXPECT_TRUE(g.proposals.empty()) << "its position is not known, which is not the same as lost";
}

TEST(WholeSet, ARemoteThatCaughtUpJoinsAndIsWaitedForAtOnce) {
  ScriptedGroup g(2);
  g.change(kR1, false, false);
  g.tick(50);
  ASSERT_EQ(g.proposals.size(), 1u);
  EXPECT_TRUE(g.proposals[0].whole);
  g.stopped_wires = {{kP, kR1}};
  g.write(1);
  g.run();
  g.tick(50);
  EXPECT_EQ(g.nodes[kS].dropped, Sequence(0)) << "the record may say any moment that it is whole";
}

// A remote that left, and whose records the primary no longer has.
struct Resync : ::testing::Test {
  Resync() : g(1) {
    g.disconnect(kR1);
    g.change(kR1, false, false);
    for (uint64_t i = 1; i <= 3; i++) g.write(i);
    g.run();
    g.feed(kP, Checkpointed{Sequence(3)});
    EXPECT_EQ(g.nodes[kP].released, Sequence(3));
    g.connect(kR1);
    g.run();
  }
  ScriptedGroup g;
};

TEST_F(Resync, BeginsWhenTheRecordsAreGone) {
  EXPECT_EQ(g.nodes[kP].resyncs, 1);
  EXPECT_EQ(g.nodes[kR1].forgotten, 1);
  EXPECT_TRUE(g.core(kR1).resyncing());
}

TEST_F(Resync, GoesOnWithTheLogAndEndsWhole) {
  g.write(4);
  g.run();
  g.feed(kP, ResyncSent{kR1, g.core(kP).term() == Term(1) ? 2u : 0u});
  g.run();
  g.feed(kR1, ResyncStored{{Term(1), Sequence(3)}});
  g.run();
  EXPECT_FALSE(g.core(kR1).resyncing());
  EXPECT_EQ(g.core(kR1).log().durable(), Sequence(4));
  g.tick(50);
  ASSERT_FALSE(g.proposals.empty());
  EXPECT_TRUE(g.proposals.back().whole);
}

TEST_F(Resync, ADoubledBeginIsIgnored) {
  g.feed(kP, ResyncSent{kR1, 2});
  g.run();
  g.feed(kR1, ResyncStored{{Term(1), Sequence(3)}});
  g.run();
  g.feed(kR1, PeerMessage{kP, ResyncBegin{Term(1), 2}});
  EXPECT_EQ(g.nodes[kR1].forgotten, 1);
  EXPECT_EQ(g.core(kR1).log().last(), Sequence(3));
}

TEST_F(Resync, ThatBrokeOffLeavesNothingBehind) {
  g.disconnect(kR1);
  g.connect(kR1);
  g.run();
  EXPECT_EQ(g.nodes[kP].resyncs, 2);
  EXPECT_EQ(g.nodes[kR1].forgotten, 2);
  g.tick(50);
  EXPECT_TRUE(g.proposals.empty()) << "what it confirmed before the resync does not count";
}

// A journal may forget a release, and with it that the remote's records are gone.
TEST_F(Resync, ThatBrokeOffIsFollowedByAnotherThoughThePrimaryHasAllRecordsAgain) {
  g.disconnect(kR1);
  g.disconnect(kS);
  g.nodes[kP].journal = g.nodes[kS].journal;
  g.restart(kP, Sequence(3));
  g.connect(kS);
  g.connect(kR1);
  g.run();
  EXPECT_TRUE(g.core(kR1).resyncing()) << "half of the blocks are there, and no log makes them whole";
  EXPECT_EQ(g.core(kR1).log().last(), Sequence(0));
  EXPECT_EQ(g.nodes[kP].resyncs, 1) << "nothing is in the primary's blocks yet";
  g.feed(kP, Checkpointed{Sequence(3)});
  g.tick(50);
  EXPECT_EQ(g.nodes[kP].resyncs, 2);
  EXPECT_EQ(g.nodes[kR1].forgotten, 2);
}

TEST_F(Resync, WaitsUntilTheRemoteHasSpace) {
  g.feed(kR1, SpaceChanged{true});
  g.disconnect(kR1);
  g.connect(kR1);
  g.run();
  g.tick(50);
  EXPECT_EQ(g.nodes[kP].resyncs, 1) << "it would forget its copy and find no room for another";
  g.stopped_wires = {{kR1, kP}};
  g.feed(kR1, SpaceChanged{false});
  g.wire.clear();  // the word is lost
  g.stopped_wires.clear();
  g.tick(10'000);
  g.tick(50);
  EXPECT_EQ(g.nodes[kP].resyncs, 2) << "it was asked again";
}

}  // namespace
}  // namespace shima::replication
