// New terms, new incarnations, old messages.
#include <gtest/gtest.h>

#include "tests/unit/coreserver/replication/scripted_group.h"

namespace shima::replication {
namespace {

TEST(Restart, UncommittedTailOfTheSecondaryIsCutOff) {
  ScriptedGroup g;
  g.write(1);
  g.run();
  g.stopped_disks = {kP};
  uint64_t lost = g.write(2);
  g.run();
  ASSERT_EQ(g.core(kS).log().last(), Sequence(2));
  g.stopped_disks.clear();
  g.restart(kP, Sequence(1));  // record 2 never reached the primary's disk
  g.connect(kS);
  g.run();
  EXPECT_EQ(g.core(kS).log().last(), Sequence(1));
  EXPECT_EQ(g.nodes[kS].truncations, 1);
  EXPECT_FALSE(g.acked(lost));
  uint64_t again = g.write(2);
  g.run();
  EXPECT_TRUE(g.acked(again));
  EXPECT_EQ(g.answers[again].position, (Position{Term(2), Sequence(2)}));
}

TEST(Restart, APrimaryCommitsItsWholeLogBeforeItServes) {
  ScriptedGroup g;
  g.stopped_wires = {{kP, kS}};
  g.write(1);
  g.run();
  g.disconnect(kS);
  g.stopped_wires.clear();
  g.restart(kP, Sequence(1));
  EXPECT_FALSE(g.core(kP).serving());
  EXPECT_TRUE(g.refused(g.write(2), Code::kUnavailable));
  g.connect(kS);
  g.run();
  EXPECT_TRUE(g.core(kP).serving());
  uint64_t retry = g.write(1);
  EXPECT_TRUE(g.acked(retry)) << "the record outlived the restart, and so did its request id";
  EXPECT_EQ(g.core(kP).log().last(), Sequence(1));
}

TEST(Restart, APrimaryThatLostEverythingDoesNotServe) {
  ScriptedGroup g;
  g.write(1);
  g.run();
  g.tick(10'000);
  ASSERT_EQ(g.core(kS).committed(), Sequence(1));
  g.disconnect(kS);
  g.restart(kP, Sequence(0));
  EXPECT_FALSE(g.core(kP).serving()) << "it would read zeros where data was acknowledged";
  g.connect(kS);
  g.run();
  g.tick(10'000);
  EXPECT_FALSE(g.core(kP).serving()) << "the secondary has what is missing here, and does not follow";
  EXPECT_EQ(g.core(kS).log().last(), Sequence(1));
}

TEST(Restart, AGroupWithoutRecordsServesOnceItsSecondaryHasNoneEither) {
  ScriptedGroup g;
  g.disconnect(kS);
  g.restart(kP, Sequence(0));
  EXPECT_FALSE(g.core(kP).serving());
  g.connect(kS);
  g.run();
  EXPECT_TRUE(g.core(kP).serving());
}

TEST(Restart, AnIncarnationThatIsNotNamedDoesNotGreet) {
  ScriptedGroup g;
  GroupOptions options;
  ReplicaGroup other(kGroup, kP, Incarnation(7), options, RecoveredGroup());
  std::vector<Effect> effects;
  other.step(ConfigChanged{g.config}, effects);
  other.step(PeerUp{kS}, effects);
  other.step(Tick{10000}, effects);
  EXPECT_TRUE(effects.empty());
  EXPECT_FALSE(other.serving());
}

// An etcd that was set back names a term of long ago.
TEST(Restart, ARecordOlderThanTheLogIsNotActedOn) {
  RecoveredGroup recovered;
  recovered.records.emplace_back();
  recovered.records.back().position = {Term(9), Sequence(1)};
  ReplicaGroup primary(kGroup, kP, Incarnation(1), GroupOptions(), recovered);
  GroupConfig config = ScriptedGroup().config;
  config.term = Term(3);
  std::vector<Effect> effects;
  primary.step(ConfigChanged{config}, effects);
  primary.step(PeerUp{kS}, effects);
  primary.step(Tick{10000}, effects);
  EXPECT_TRUE(effects.empty()) << "it greets nobody";
  EXPECT_NE(primary.state_in_words().find("record has term 3, but the log has 9"), std::string::npos)
      << primary.state_in_words();
  config.term = Term(10);
  config.version = config.version.next();
  primary.step(ConfigChanged{config}, effects);
  EXPECT_FALSE(effects.empty()) << "a term above the log's is acted on";
}

// All is in its blocks, so nothing waits for the secondary: without the guard it serves, and ends at a write.
TEST(Restart, APrimaryWithoutAJournalIsHeldBackByItsCheckpointsTerm) {
  RecoveredGroup recovered;
  recovered.base = {Term(9), Sequence(5)};
  recovered.checkpointed = Sequence(5);
  recovered.history = {{Term(9), Sequence(1)}};
  ReplicaGroup primary(kGroup, kP, Incarnation(1), GroupOptions(), recovered);
  GroupConfig config = ScriptedGroup().config;
  config.term = Term(3);
  std::vector<Effect> effects;
  primary.step(ConfigChanged{config}, effects);
  ClientWrite write;
  write.token = 1;
  write.client = ClientId(1);
  write.request = write.settled_below = RequestId(1);
  write.inode = InodeId(1);
  write.length = kChunkSize;
  primary.step(write, effects);
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(std::get<Acknowledge>(effects[0]).status.code(), Code::kUnavailable);
  EXPECT_EQ(primary.log().last(), Sequence(5));
}

TEST(StaleTerm, IsRefused) {
  ScriptedGroup g;
  g.write(1);
  g.run();
  g.restart(kP, Sequence(1));
  g.connect(kS);
  g.run();
  Append old;
  old.term = Term(1);
  old.round = 1;
  auto record = std::make_shared<Record>(*g.nodes[kS].journal.at(Sequence(1)));
  record->header.position = {Term(1), Sequence(2)};
  record->header.previous_term = Term(1);
  old.records = {record};
  g.feed(kS, PeerMessage{kP, old});
  EXPECT_EQ(g.core(kS).log().last(), Sequence(1));
  g.wire.clear();
  g.feed(kS, PeerMessage{kP, Hello{Term(1), 9, {}, {}, {}}});
  ASSERT_EQ(g.wire.size(), 1u);
  EXPECT_FALSE(std::get<Welcome>(g.wire[0].message).accepted);
  EXPECT_EQ(std::get<Welcome>(g.wire[0].message).term, Term(2));
}

TEST(StaleGreeting, OfTheSameTermCutsNothingOff) {
  ScriptedGroup g;
  g.stopped_wires = {{kP, kS}};
  g.disconnect(kS);
  g.connect(kS);
  Message old_hello = g.wire.front().message;  // it says that the log is empty
  g.stopped_wires.clear();
  g.run();
  uint64_t write = g.write(1);
  g.run();
  ASSERT_TRUE(g.acked(write));
  g.restart(kS, Sequence(1));
  g.feed(kS, PeerMessage{kP, old_hello});
  EXPECT_EQ(g.core(kS).log().last(), Sequence(1)) << "an ACKed record must not be cut off";
}

TEST(RestartedMember, TakesNothingBeforeItHasReadTheRecord) {
  ScriptedGroup g;
  ReplicaGroup fresh(kGroup, kS, Incarnation(2), GroupOptions(), RecoveredGroup());
  std::vector<Effect> effects;
  fresh.step(PeerMessage{kP, Hello{Term(1), 1, {}, {}, {}}}, effects);
  EXPECT_TRUE(effects.empty());
}

TEST(Damage, AMemberWhosePrimaryLostCommittedRecordsStops) {
  ScriptedGroup g;
  g.write(1);
  g.run();
  g.write(2);  // carries the news that 1 is committed
  g.run();
  g.feed(kS, PeerMessage{kP, Hello{Term(5), 1, {}, {}, {}}});
  EXPECT_NE(g.core(kS).damage(), "");
  EXPECT_EQ(g.core(kS).log().last(), Sequence(2)) << "nothing is cut off";
}

TEST(Damage, ADamagedMemberDoesNotFollow) {
  RecoveredGroup found;
  found.damage = "a bad record before a valid one";
  ReplicaGroup core(kGroup, kS, Incarnation(1), GroupOptions(), std::move(found));
  ScriptedGroup g;
  std::vector<Effect> effects;
  core.step(ConfigChanged{g.config}, effects);
  core.step(PeerMessage{kP, Hello{Term(1), 1, {}, {}, {}}}, effects);
  EXPECT_TRUE(effects.empty());
}

}  // namespace
}  // namespace shima::replication
