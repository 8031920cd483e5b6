#include "coreserver/driver/group_checkpoint.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

GroupCheckpoint example() {
  GroupCheckpoint c;
  c.volume = "vm-disk";
  c.block_size = 1 << 20;
  c.position = {Term(3), Sequence(40)};
  c.history = {{Term(1), Sequence(1)}, {Term(3), Sequence(30)}};
  c.window = replication::RequestWindow().save(Sequence(40));
  c.folded = Sequence(12);
  return c;
}

std::vector<RecordHeader> records(uint64_t first, uint64_t last) {
  std::vector<RecordHeader> all;
  for (uint64_t s = first; s <= last; s++) {
    RecordHeader h;
    h.position = {Term(3), Sequence(s)};
    h.previous_term = Term(s > 1 ? 3 : 0);
    all.push_back(h);
  }
  return all;
}

TEST(GroupCheckpoint, ComesBackAsItWasSaved) {
  GroupCheckpoint saved = example();
  saved.resyncing = true;
  auto c = decode_checkpoint(encode_checkpoint(saved));
  ASSERT_TRUE(c.is_ok()) << c.status().to_string();
  EXPECT_EQ(c->volume, "vm-disk");
  EXPECT_EQ(c->block_size, 1u << 20);
  EXPECT_EQ(c->position, example().position);
  EXPECT_EQ(c->history, example().history);
  EXPECT_EQ(c->folded, Sequence(12));
  EXPECT_TRUE(c->resyncing);
}

TEST(GroupCheckpoint, RefusesWrongMagicVersionAndEveryTruncation) {
  std::string good = encode_checkpoint(example());
  for (size_t n = 0; n < good.size(); n++) EXPECT_FALSE(decode_checkpoint(good.substr(0, n)).is_ok()) << n;
  EXPECT_FALSE(decode_checkpoint(good + "x").is_ok());
  std::string magic = good, version = good;
  magic[0] = 'X';
  version[4] = 9;
  EXPECT_EQ(decode_checkpoint(magic).status().code(), Code::kCorrupt);
  EXPECT_NE(decode_checkpoint(version).status().message().find("version 9"), std::string::npos);
}

TEST(RecoveredGroup, KeepsRecordsBeforeTheCheckpointForShipping) {
  auto r = recovered_group(example(), records(35, 44), "");
  EXPECT_EQ(r.base, (Position{Term(3), Sequence(34)}));
  EXPECT_EQ(r.checkpointed, Sequence(40));
  EXPECT_EQ(r.records.size(), 10u);
  EXPECT_TRUE(r.damage.empty());
}

TEST(RecoveredGroup, LeftoversBeforeTheCheckpointAreDropped) {
  auto r = recovered_group(example(), records(5, 20), "");
  EXPECT_TRUE(r.records.empty());
  EXPECT_EQ(r.base, example().position);
}

// The word that the copy is incomplete is durable before its records go from the journal.
TEST(RecoveredGroup, ACopyThatWasBeingResyncedTakesNoRecords) {
  GroupCheckpoint incomplete;
  incomplete.resyncing = true;
  auto r = recovered_group(incomplete, records(35, 44), "a segment is unreadable");
  EXPECT_TRUE(r.resyncing);
  EXPECT_TRUE(r.records.empty());
  EXPECT_EQ(r.damage, "") << "nothing of what was lost is needed";
}

TEST(RecoveredGroup, AGapBetweenBlocksAndJournalIsDamage) {
  auto r = recovered_group(example(), records(42, 50), "");
  EXPECT_NE(r.damage.find("records between them are lost"), std::string::npos);
}

TEST(RecoveredGroup, AReleaseBeyondTheCheckpointTellsThatTheIndexWasRolledBack) {
  GroupCheckpoint checkpoint = example();
  EXPECT_EQ(recovered_group(checkpoint, {}, "", Sequence(40)).damage, "");
  auto r = recovered_group(checkpoint, {}, "", Sequence(41));
  EXPECT_NE(r.damage.find("the index has lost its newest writes"), std::string::npos) << r.damage;
  checkpoint.resyncing = true;  // it begins anew at 0, whatever the journal had
  checkpoint.position = Position();
  EXPECT_EQ(recovered_group(checkpoint, {}, "", Sequence(41)).damage, "");
}

TEST(RecoveredGroup, TermsThatFallAreDamageAndDoNotEndTheProcess) {
  auto found = records(35, 44);
  found[7].position.term = Term(2);
  auto inside = recovered_group(example(), found, "");
  EXPECT_NE(inside.damage.find("record 2:42 behind 3:41"), std::string::npos) << inside.damage;
  found = records(35, 44);
  for (RecordHeader& h : found) h.position.term = h.previous_term = Term(2);
  auto behind_checkpoint = recovered_group(example(), found, "");
  EXPECT_NE(behind_checkpoint.damage.find("record 2:35 behind 3:30"), std::string::npos)
      << behind_checkpoint.damage;
  for (auto* r : {&inside, &behind_checkpoint}) {
    replication::ReplicaGroup group({VolumeId(1), GroupIndex(0)}, ServerId(1), Incarnation(1), {}, *r);
    EXPECT_FALSE(group.serving());
    EXPECT_NE(group.state_in_words().find("terms of a log never fall"), std::string::npos);
  }
}

TEST(RecoveredGroup, ItsNewestTermIsTheLogsEvenIfTheJournalIsEmpty) {
  EXPECT_EQ(newest_term(recovered_group(example(), records(35, 44), "")), Term(3));
  EXPECT_EQ(newest_term(recovered_group(example(), {}, "")), Term(3));
  EXPECT_EQ(newest_term(recovered_group(GroupCheckpoint(), {}, "")), Term());
}

TEST(GroupIdentity, AnotherVolumeUnderTheSameIdIsNotTakenForIt) {
  VolumeInfo volume;
  volume.name = "db";
  volume.id = VolumeId(11);
  GroupInfo group;
  group.index = GroupIndex(3);
  GroupCheckpoint found;
  found.volume = "db";
  found.block_size = volume.block_size;
  EXPECT_TRUE(check_identity(found, volume, group).is_ok());
  found.volume = "web";
  const Status other = check_identity(found, volume, group);
  EXPECT_EQ(other.code(), Code::kFailedPrecondition);
  EXPECT_NE(other.message().find("found data of volume web (blocks of 1024 KiB) under id 11"),
            std::string::npos)
      << other.message();
  found.volume = "db";
  found.metadata = true;
  EXPECT_FALSE(check_identity(found, volume, group).is_ok());
  found.metadata = false;
  found.block_size = 64 << 10;
  EXPECT_FALSE(check_identity(found, volume, group).is_ok());
}

}  // namespace
}  // namespace shima
