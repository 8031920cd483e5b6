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
  c.resyncing = true;
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
  auto c = decode_checkpoint(encode_checkpoint(example()));
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

TEST(RecoveredGroup, AGapBetweenBlocksAndJournalIsDamage) {
  auto r = recovered_group(example(), records(42, 50), "");
  EXPECT_NE(r.damage.find("records between them are lost"), std::string::npos);
}

}  // namespace
}  // namespace shima
