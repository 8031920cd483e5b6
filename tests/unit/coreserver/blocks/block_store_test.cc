#include "coreserver/blocks/block_store.h"

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

class BlockStoreTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    store_ = open_store(*disk_, directory_.path());
    ASSERT_NE(store_, nullptr);
  }
  Status apply(std::vector<RecordPtr> records, GroupId group = kTestGroup) {
    return store_->apply(group, kTestBlock, records);
  }

  TestDirectory directory_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::unique_ptr<BlockStore> store_;
};

TEST_F(BlockStoreTest, ABlockThatIsNotThereReadsAsZeros) {
  auto piece = store_->read(key_of(1), kChunkSize, 2 * kChunkSize);
  ASSERT_TRUE(piece.is_ok());
  EXPECT_EQ(piece->version, Position{});
  EXPECT_EQ(piece->bytes, Buffer::zeros(2 * kChunkSize));
  EXPECT_TRUE(chunks_match(piece->bytes.span(), piece->checksums));
}

TEST_F(BlockStoreTest, WhatWasWrittenIsReadWithItsVersion) {
  const Buffer bytes = bytes_of_seed(1, 3 * kChunkSize);
  ASSERT_TRUE(apply({make_write(7, 4, 2 * kChunkSize, bytes)}).is_ok());
  auto piece = store_->read(key_of(4), kChunkSize, 5 * kChunkSize);
  ASSERT_TRUE(piece.is_ok());
  EXPECT_EQ(piece->version, (Position{Term(1), Sequence(7)}));
  EXPECT_EQ(piece->bytes.slice(0, kChunkSize), Buffer::zeros(kChunkSize));
  EXPECT_EQ(piece->bytes.slice(kChunkSize, 3 * kChunkSize), bytes);
  EXPECT_EQ(piece->bytes.slice(4 * kChunkSize, kChunkSize), Buffer::zeros(kChunkSize));
  EXPECT_TRUE(chunks_match(piece->bytes.span(), piece->checksums));
}

TEST_F(BlockStoreTest, RandomRecordsGiveTheSameAsAPlainModel) {
  constexpr uint64_t kBlocks = 12;
  ModelBlocks model;
  uint64_t sequence = 0;
  std::mt19937_64 random(42);
  for (int round = 0; round < 120; round++) {
    std::vector<RecordPtr> records;
    for (uint64_t n = 1 + random() % 12; n > 0; n--) {
      records.push_back(random_record(1, ++sequence, kBlocks));
      model.apply(*records.back());
    }
    ASSERT_TRUE(apply(records).is_ok());
    if (round % 7 == 0) {
      ASSERT_TRUE(store_->checkpoint(kTestGroup, std::to_string(sequence)).is_ok());
    }
    if (round % 30 == 29) reopen();
    if (round % 5 == 0) model.expect_same(*store_, kBlocks);
  }
  model.expect_same(*store_, kBlocks);
  EXPECT_LE(store_->stats().blocks, kBlocks);
  EXPECT_EQ(store_->stats().checksum_errors, 0u);
}

TEST_F(BlockStoreTest, PunchingAllOfABlockFreesItsSlotAtTheNextCheckpoint) {
  ASSERT_TRUE(apply({make_write(1, 0, 0, bytes_of_seed(1, kTestBlock))}).is_ok());
  EXPECT_EQ(*store_->present_bytes(kTestGroup), kTestBlock);
  ASSERT_TRUE(apply({make_punch(2, 0, 0, kTestBlock)}).is_ok());
  EXPECT_EQ(*store_->present_bytes(kTestGroup), 0u);
  EXPECT_EQ(store_->stats().blocks, 0u);
  EXPECT_EQ(store_->stats().slots, store_->stats().free_slots);
  ASSERT_TRUE(store_->checkpoint(kTestGroup, "c").is_ok());
  EXPECT_EQ(store_->stats().slots, store_->stats().free_slots);
  EXPECT_EQ(store_->read(key_of(0), 0, kTestBlock)->bytes, Buffer::zeros(kTestBlock));
}

TEST_F(BlockStoreTest, AFreedSlotIsNotReusedBeforeACheckpoint) {
  for (uint64_t b = 0; b < 8; b++)
    ASSERT_TRUE(apply({make_write(b + 1, b, 0, bytes_of_seed(b, kTestBlock))}).is_ok());
  ASSERT_EQ(store_->stats().slots, 8u);
  ASSERT_TRUE(apply({make_punch(9, 0, 0, kTestBlock)}).is_ok());
  ASSERT_TRUE(apply({make_write(10, 8, 0, bytes_of_seed(8, kTestBlock))}).is_ok());
  EXPECT_EQ(store_->stats().slots, 16u);  // block 8 got a slot of a new file
  ASSERT_TRUE(store_->checkpoint_many({}).is_ok());
  EXPECT_EQ(store_->stats().free_slots, 8u);
}

TEST_F(BlockStoreTest, CheckpointsAreKeptReplacedAndDeleted) {
  const GroupId other{VolumeId(6), GroupIndex(0)};
  ASSERT_TRUE(store_->checkpoint_many({{kTestGroup, "one"}, {other, "two"}}).is_ok());
  ASSERT_TRUE(store_->checkpoint(kTestGroup, "three").is_ok());
  reopen();
  auto found = store_->checkpoints();
  ASSERT_TRUE(found.is_ok());
  EXPECT_EQ(*found, (std::vector<std::pair<GroupId, std::string>>{{kTestGroup, "three"}, {other, "two"}}));
  ASSERT_TRUE(store_->checkpoint(other, "").is_ok());
  EXPECT_EQ(store_->checkpoints()->size(), 1u);
}

TEST_F(BlockStoreTest, DeletingAGroupLeavesTheOthersAlone) {
  const GroupId other{kTestGroup.volume, GroupIndex(3)};
  for (uint64_t b = 0; b < 600; b++) {
    ASSERT_TRUE(apply({make_write(b + 1, b, 0, bytes_of_seed(b, kChunkSize))}).is_ok());
  }
  ASSERT_TRUE(apply({make_write(1, 1, 0, bytes_of_seed(9, kChunkSize), other)}, other).is_ok());
  ASSERT_TRUE(store_->checkpoint(kTestGroup, "kept").is_ok());
  ASSERT_TRUE(store_->delete_blocks(kTestGroup).is_ok());
  EXPECT_EQ(store_->stats().blocks, 1u);
  EXPECT_EQ(store_->read(key_of(5), 0, kChunkSize)->bytes, Buffer::zeros(kChunkSize));
  EXPECT_EQ(store_->read(key_of(1, other), 0, kChunkSize)->bytes, bytes_of_seed(9, kChunkSize));
  EXPECT_EQ(store_->checkpoints()->size(), 1u);
}

TEST_F(BlockStoreTest, BlocksAreVisitedInOrder) {
  ASSERT_TRUE(apply({make_write(1, 300, 0, bytes_of_seed(1, kChunkSize)),
                     make_write(2, 2, 0, bytes_of_seed(2, kTestBlock)),
                     make_write(3, 41, kChunkSize, bytes_of_seed(3, kChunkSize))})
                  .is_ok());
  std::vector<uint64_t> blocks;
  uint64_t present = 0;
  ASSERT_TRUE(store_
                  ->for_each_block(kTestGroup,
                                   [&](const BlockInfo& info) {
                                     blocks.push_back(info.key.block.value);
                                     present += info.present_bytes;
                                     EXPECT_EQ(info.block_size, kTestBlock);
                                     return blocks.size() < 2;
                                   })
                  .is_ok());
  EXPECT_EQ(blocks, (std::vector<uint64_t>{2, 41}));
  EXPECT_EQ(present, kTestBlock + kChunkSize);
}

TEST_F(BlockStoreTest, AFlippedBitOnDiskIsNeverReturned) {
  ASSERT_TRUE(apply({make_write(1, 0, 0, bytes_of_seed(1, kTestBlock))}).is_ok());
  std::fstream file(directory_.path() + "/blocks/data-0000.shb",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 5 * kChunkSize + 17);
  file.put('!');
  file.close();
  auto bad = store_->read(key_of(0), 4 * kChunkSize, 4 * kChunkSize);
  ASSERT_FALSE(bad.is_ok());
  EXPECT_EQ(bad.status().code(), Code::kCorrupt);
  EXPECT_TRUE(store_->read(key_of(0), 6 * kChunkSize, kChunkSize).is_ok());
  EXPECT_EQ(store_->stats().checksum_errors, 1u);
}

TEST_F(BlockStoreTest, WrongArgumentsAreRefusedAndChangeNothing) {
  EXPECT_EQ(store_->read(key_of(0), 100, kChunkSize).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->read(key_of(0), 0, kMaxBlockSize + kChunkSize).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->apply(kTestGroup, 5000, {}).code(), Code::kInvalidArgument);
  auto good = make_write(1, 0, 0, bytes_of_seed(1, kChunkSize));
  auto foreign = make_write(2, 0, 0, bytes_of_seed(2, kChunkSize), {VolumeId(9), GroupIndex(9)});
  EXPECT_EQ(apply({good, foreign}).code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->stats().blocks, 0u);
  ASSERT_TRUE(apply({good}).is_ok());
  std::vector<RecordPtr> one{good};
  EXPECT_EQ(store_->apply(kTestGroup, 1 << 20, one).code(), Code::kInvalidArgument);
}

TEST_F(BlockStoreTest, AnotherDiskIdIsRefused) {
  store_.reset();
  auto opened = BlockStore::open(*disk_, directory_.path(), kTestDisk + 1, {});
  ASSERT_FALSE(opened.is_ok());
  EXPECT_EQ(opened.status().code(), Code::kCorrupt);
  EXPECT_NE(opened.status().message().find("belongs to disk 77, this is disk 78"), std::string::npos)
      << opened.status().message();
}

TEST_F(BlockStoreTest, ALostIndexIsRefused) {
  ASSERT_TRUE(apply({make_write(1, 0, 0, bytes_of_seed(1, kChunkSize))}).is_ok());
  store_.reset();
  std::filesystem::remove_all(directory_.path() + "/index");
  for (int start = 0; start < 2; ++start) {  // a refused start does not make the next one succeed
    auto opened = BlockStore::open(*disk_, directory_.path(), kTestDisk, {});
    EXPECT_EQ(opened.status().code(), Code::kCorrupt);
    EXPECT_NE(opened.status().message().find("blocks/ has data files"), std::string::npos)
        << opened.status().message();
  }
}

TEST_F(BlockStoreTest, ALostIndexBesideAJournalWithRecordsIsRefused) {
  TestDirectory empty;
  ASSERT_TRUE(BlockStore::open(*disk_, empty.path(), kTestDisk, {}).is_ok());
  BlockStoreOptions options;
  options.journal_has_records = true;
  EXPECT_TRUE(BlockStore::open(*disk_, empty.path(), kTestDisk, options).is_ok()) << "its index is there";
  std::filesystem::remove_all(empty.path() + "/index");
  for (int start = 0; start < 2; ++start)
    EXPECT_EQ(BlockStore::open(*disk_, empty.path(), kTestDisk, options).status().code(), Code::kCorrupt);
}

TEST_F(BlockStoreTest, AReadSeesABlockAtOneVersion) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t n = 1; n <= 400; n++) {
      ASSERT_TRUE(apply({make_write(n, 0, 0, bytes_of_seed(n, kTestBlock))}).is_ok());
      if (n % 50 == 0) {
        ASSERT_TRUE(store_->checkpoint(kTestGroup, "c").is_ok());
      }
    }
    stop = true;
  });
  while (!stop) {
    auto piece = store_->read(key_of(0), 0, kTestBlock);
    ASSERT_TRUE(piece.is_ok()) << piece.status().to_string();
    if (piece->version == Position{}) continue;
    ASSERT_EQ(piece->bytes, bytes_of_seed(piece->version.sequence.value, kTestBlock));
  }
  writer.join();
}

}  // namespace
}  // namespace shima
