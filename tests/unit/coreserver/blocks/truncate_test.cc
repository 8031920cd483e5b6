// Truncations, and what a group knows of inodes (R18, R19).

#include <rocksdb/db.h>

#include "coreserver/blocks/index_db.h"
#include "coreserver/blocks/inode_states.h"
#include "coreserver/metadata/kv_store.h"
#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

constexpr InodeId kInode(1);

RecordPtr with(const RecordPtr& record, uint64_t fence, int64_t time_ns, InodeId inode = kInode) {
  auto copy = std::make_shared<Record>(*record);
  copy->header.fence = fence;
  copy->header.time_ns = time_ns;
  copy->header.inode = inode;
  return copy;
}

class Truncating : public testing::Test {
 protected:
  Truncating() { open(); }

  void open() {
    store_.reset();
    BlockStoreOptions options;
    options.slots_per_file = 8;
    options.wall_clock_ns = [this] { return now_ns_; };
    auto store = BlockStore::open(*disk_, directory_.path(), kTestDisk, options);
    ASSERT_TRUE(store.is_ok()) << store.status().to_string();
    store_ = std::move(*store);
  }
  void apply(const std::vector<RecordPtr>& records) {
    const Status status = store_->apply(kTestGroup, kTestBlock, records);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  void write_blocks(uint64_t sequence, uint64_t count) {
    std::vector<RecordPtr> records;
    for (uint64_t b = 0; b < count; b++) records.push_back(make_write(sequence + b, b, 0, full()));
    apply(records);
  }
  static Buffer full() { return bytes_of_seed(1, kTestBlock); }
  std::string text(uint64_t block) {
    auto piece = store_->read(key_of(block), 0, kTestBlock);
    EXPECT_TRUE(piece.is_ok()) << piece.status().to_string();
    EXPECT_TRUE(chunks_match(piece->bytes.span(), piece->checksums));
    return {piece->bytes.span().begin(), piece->bytes.span().end()};
  }
  static std::string first_bytes(const Buffer& bytes, uint32_t count) {
    std::string s(bytes.span().begin(), bytes.span().begin() + count);
    return s + std::string(kTestBlock - count, '\0');
  }
  InodeState state(InodeId inode = kInode) {
    auto found = store_->inode_state(kTestGroup, inode);
    EXPECT_TRUE(found.is_ok()) << found.status().to_string();
    return found ? *found : InodeState();
  }
  uint64_t blocks() { return store_->stats().blocks; }

  TestDirectory directory_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  int64_t now_ns_ = 1'700'000'000'000'000'000;
  std::unique_ptr<BlockStore> store_;
};

TEST_F(Truncating, DropsWhatIsBeyondTheCutAndFreesItsSlots) {
  write_blocks(1, 20);
  const Buffer chunk = bytes_of_seed(9, kChunkSize);
  apply({make_truncate(21, 1, 3, 3 * kChunkSize, chunk)});
  EXPECT_EQ(blocks(), 4u);
  EXPECT_EQ(text(2), first_bytes(full(), kTestBlock));
  std::string expected = first_bytes(full(), 3 * kChunkSize);
  expected.replace(2 * kChunkSize, kChunkSize, std::string(chunk.span().begin(), chunk.span().end()));
  EXPECT_EQ(text(3), expected);
  EXPECT_EQ(text(4), std::string(kTestBlock, '\0'));
  EXPECT_EQ(state().used_bytes, 3 * kTestBlock + 3 * kChunkSize);
  ASSERT_TRUE(store_->checkpoint(kTestGroup, "x").is_ok());
  EXPECT_EQ(store_->stats().free_slots, store_->stats().slots - 4);
}

TEST_F(Truncating, AGroupThatDoesNotHoldTheCutsBlockDropsWhatIsBehindIt) {
  apply({make_write(1, 2, 0, full()), make_write(2, 9, 0, full())});
  apply({make_truncate(3, 1, 5, 0)});
  EXPECT_EQ(blocks(), 1u);
  EXPECT_EQ(text(2), first_bytes(full(), kTestBlock));
}

TEST_F(Truncating, LeavesOtherInodesAndGroupsAlone) {
  const GroupId other{kTestGroup.volume, kTestGroup.index.next()};
  apply({with(make_write(1, 0, 0, full()), 0, 0, InodeId(2)), make_write(2, 0, 0, full())});
  const std::vector<RecordPtr> elsewhere{make_write(1, 0, 0, full(), other)};
  ASSERT_TRUE(store_->apply(other, kTestBlock, elsewhere).is_ok());
  apply({make_truncate(3, 1, 0, 0)});
  EXPECT_EQ(blocks(), 2u);
  EXPECT_EQ(state(InodeId(2)).used_bytes, kTestBlock);
  EXPECT_EQ(state().used_bytes, 0u);
}

TEST_F(Truncating, MoreBlocksThanOneIndexWriteTakes) {
  std::vector<RecordPtr> records;
  for (uint64_t b = 0; b < 700; b++) records.push_back(make_write(b + 1, b, 0, bytes_of_seed(b, kChunkSize)));
  apply(records);
  EXPECT_EQ(state().used_bytes, 700 * kChunkSize);
  apply({make_truncate(701, 1, 0, kChunkSize)});
  EXPECT_EQ(blocks(), 1u);
  EXPECT_EQ(state().used_bytes, kChunkSize);
}

TEST_F(Truncating, OrderInsideOneApplyCounts) {
  apply({make_write(1, 0, 0, full()), make_write(2, 1, 0, full()), make_truncate(3, 1, 0, kChunkSize),
         make_write(4, 1, 0, bytes_of_seed(4, kChunkSize)), make_truncate(5, 2, 2, 0),
         make_write(6, 2, 0, bytes_of_seed(6, kChunkSize))});
  EXPECT_EQ(text(0), first_bytes(full(), kChunkSize));
  EXPECT_EQ(text(1), first_bytes(bytes_of_seed(4, kChunkSize), kChunkSize));
  EXPECT_EQ(text(2), first_bytes(bytes_of_seed(6, kChunkSize), kChunkSize));
  EXPECT_EQ(state().fence, 2u);
  EXPECT_EQ(state().used_bytes, 3 * kChunkSize);
}

TEST_F(Truncating, AFenceIsExecutedOnce) {
  write_blocks(1, 2);
  apply({make_truncate(3, 5, 0, 0)});
  apply({with(make_write(4, 0, 0, full()), 5, 0)});
  apply({make_truncate(5, 5, 0, 0), make_truncate(6, 4, 0, 0, Buffer())});
  EXPECT_EQ(text(0), first_bytes(full(), kTestBlock)) << "both came too late";
  EXPECT_EQ(state().newest, Sequence(6));
  apply({make_truncate(7, 6, 0, 0)});
  EXPECT_EQ(blocks(), 0u);
}

TEST_F(Truncating, AWriteWithANewFenceDoesNotStandForItsTruncation) {
  apply({with(make_write(1, 0, 0, full()), 5, 0)});
  EXPECT_EQ(state().fence, 5u);
  apply({make_truncate(2, 5, 0, 0)});
  EXPECT_EQ(blocks(), 0u);
}

TEST_F(Truncating, StatesKeepTheNewestTimeAndCountChanges) {
  apply({with(make_write(1, 0, 0, full()), 0, 500), with(make_write(2, 0, 0, full()), 0, 300),
         with(make_punch(3, 0, 0, kChunkSize), 2, 0), with(make_truncate(4, 3, 0, kTestBlock), 3, 400)});
  EXPECT_EQ(state().mtime_ns, 500);
  EXPECT_EQ(state().changes, 3u);
  EXPECT_EQ(state().fence, 3u);
  EXPECT_EQ(state().used_bytes, kTestBlock - kChunkSize);
  const InodeState before = state();
  apply({with(make_write(2, 0, 0, full()), 0, 300)});
  EXPECT_EQ(state().changes, before.changes) << "applied again after a crash";
  ASSERT_TRUE(store_->checkpoint(kTestGroup, "x").is_ok());
  open();
  EXPECT_EQ(state().mtime_ns, 500);
  EXPECT_EQ(state(InodeId(77)), InodeState()) << "never heard of";
}

TEST_F(Truncating, ARemovalLeavesATombstone) {
  apply({with(make_write(1, 3, 0, full()), 1, 500)});
  auto removal = std::make_shared<Record>(*make_removal(2));
  removal->header.block = BlockIndex(8);  // cuts at 0 all the same
  apply({removal});
  EXPECT_EQ(blocks(), 0u);
  EXPECT_EQ(state().fence, kRemovedFence);
  EXPECT_EQ(state().mtime_ns, now_ns_);
  EXPECT_EQ(state().used_bytes, 0u);
  const InodeState tombstone = state();
  apply({with(make_write(1, 3, 0, full()), 1, 500), removal});
  EXPECT_EQ(state(), tombstone) << "applied again after a crash";
  EXPECT_EQ(blocks(), 0u);
}

TEST_F(Truncating, ACompactionDropsOldTombstonesOnly) {
  apply({with(make_write(1, 0, 0, full()), 0, 500, InodeId(1)), make_removal(2),
         with(make_write(3, 0, 0, full()), 0, 600, InodeId(2))});
  ASSERT_TRUE(store_->checkpoint(kTestGroup, "x").is_ok());
  store_.reset();
  auto compact = [&](int64_t now_ns) {
    IndexDbOptions options;
    options.wall_clock_ns = [now_ns] { return now_ns; };
    auto index = IndexDb::open(*disk_, directory_.path() + "/index", kTestDisk, options);
    ASSERT_TRUE(index.is_ok()) << index.status().to_string();
    ASSERT_TRUE((*index)->db().Flush({}, (*index)->inodes()).ok());
    ASSERT_TRUE((*index)->db().CompactRange({}, (*index)->inodes(), nullptr, nullptr).ok());
  };
  compact(now_ns_ + kTombstoneNs);
  open();
  EXPECT_EQ(state().fence, kRemovedFence);
  store_.reset();
  compact(now_ns_ + kTombstoneNs + 1);
  open();
  EXPECT_EQ(state(), InodeState());
  EXPECT_EQ(state(InodeId(2)).mtime_ns, 600);
}

// A process that was killed: the index has all, the checkpoint is old.
TEST_F(Truncating, ApplyingAgainWhatIsThereChangesNothing) {
  constexpr uint64_t kBlocks = 8, kLast = 80;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    ASSERT_TRUE(store_->delete_blocks(kTestGroup).is_ok());
    ModelBlocks model;
    std::vector<RecordPtr> log;
    for (uint64_t n = 1; n <= kLast; n++) {
      log.push_back(random_file_record(seed, n, kBlocks));
      model.apply(*log.back());
      apply({log.back()});
    }
    const InodeState before = state();
    open();
    std::mt19937_64 random(seed);
    for (uint64_t from = random() % kLast; from < kLast;) {
      const uint64_t to = std::min(kLast, from + 1 + random() % 9);
      apply({log.begin() + static_cast<ptrdiff_t>(from), log.begin() + static_cast<ptrdiff_t>(to)});
      from = to;
    }
    model.expect_same(*store_, kBlocks);
    EXPECT_EQ(state(), before) << "seed " << seed;
    EXPECT_EQ(before.used_bytes, *store_->present_bytes(kTestGroup));
  }
}

TEST_F(Truncating, BadTruncationsAreRefusedAndChangeNothing) {
  write_blocks(1, 2);
  auto refuse = [&](auto&& spoil) {
    Record record = *make_truncate(3, 1, 0, kChunkSize, bytes_of_seed(3, kChunkSize));
    spoil(record);
    const std::vector<RecordPtr> all{make_punch(3, 1, 0, kTestBlock), std::make_shared<Record>(record)};
    return store_->apply(kTestGroup, kTestBlock, all).code();
  };
  EXPECT_EQ(refuse([](Record& r) { r.header.offset = kTestBlock; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.offset = 100; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.length = 2 * kChunkSize; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.payload = Buffer(); }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.checksums[0]++; }), Code::kCorrupt);
  EXPECT_EQ(refuse([](Record& r) { r.header.kind = RecordKind::kBatch; }), Code::kInvalidArgument);
  EXPECT_EQ(blocks(), 2u);
  EXPECT_EQ(state().newest, Sequence(2));
}

TEST_F(Truncating, DeletingAGroupForgetsItsInodes) {
  const GroupId other{kTestGroup.volume, kTestGroup.index.next()};
  write_blocks(1, 3);
  const std::vector<RecordPtr> elsewhere{make_write(1, 0, 0, full(), other)};
  ASSERT_TRUE(store_->apply(other, kTestBlock, elsewhere).is_ok());
  ASSERT_TRUE(store_->delete_blocks(kTestGroup).is_ok());
  EXPECT_EQ(state(), InodeState());
  EXPECT_EQ(store_->inode_state(other, kInode)->used_bytes, kTestBlock);
  write_blocks(1, 1);
  EXPECT_EQ(state().used_bytes, kTestBlock);
}

// A resync: states first, then pieces of blocks, then the log from before both.
TEST_F(Truncating, AMemberThatIsRebuiltHasTheSameStates) {
  const GroupId source = kTestGroup;
  constexpr uint64_t kBlocks = 6, kFrom = 20, kTo = 60;
  std::vector<RecordPtr> log;
  for (uint64_t n = 1; n <= kTo; n++) log.push_back(random_file_record(3, n, kBlocks));
  apply(log);
  std::vector<std::pair<InodeId, InodeState>> states;
  ASSERT_TRUE(store_
                  ->for_each_inode(source,
                                   [&](InodeId inode, const InodeState& s) {
                                     states.emplace_back(inode, s);
                                     return true;
                                   })
                  .is_ok());
  ASSERT_EQ(states.size(), 1u);
  std::vector<RecordPtr> pieces;
  ASSERT_TRUE(store_
                  ->for_each_block(source,
                                   [&](const BlockInfo& info) {
                                     auto piece = store_->read(info.key, 0, kTestBlock);
                                     pieces.push_back(make_write(info.version.sequence.value,
                                                                 info.key.block.value, 0, piece->bytes));
                                     return true;
                                   })
                  .is_ok());
  const InodeState before = state();

  ASSERT_TRUE(store_->delete_blocks(source).is_ok());
  ASSERT_TRUE(store_->put_inode_state(source, states[0].first, states[0].second).is_ok());
  for (const RecordPtr& piece : pieces) ASSERT_TRUE(store_->restore(source, kTestBlock, {&piece, 1}).is_ok());
  EXPECT_EQ(state().changes, before.changes);
  EXPECT_EQ(state().mtime_ns, before.mtime_ns);
  EXPECT_EQ(state().used_bytes, *store_->present_bytes(source));
  apply({log.begin() + kFrom, log.end()});
  ModelBlocks model;
  for (const RecordPtr& record : log) model.apply(*record);
  model.expect_same(*store_, kBlocks);
  EXPECT_EQ(state().fence, before.fence);
  EXPECT_EQ(state().mtime_ns, before.mtime_ns);
  EXPECT_GE(state().changes, before.changes) << "never back, or a client would take old data for current";
  EXPECT_EQ(state().used_bytes, *store_->present_bytes(source));
  const std::vector<RecordPtr> no_piece{make_punch(1, 0, 0, kChunkSize)};
  EXPECT_EQ(store_->restore(source, kTestBlock, no_piece).code(), Code::kInvalidArgument);
}

TEST_F(Truncating, FindsDataAndHoles) {
  using Found = std::optional<std::pair<BlockIndex, uint32_t>>;
  auto present = [&](uint64_t block, uint32_t offset) {
    return *store_->next_present(kTestGroup, kInode, BlockIndex(block), offset);
  };
  auto at = [](uint64_t block, uint32_t offset) { return Found(std::pair(BlockIndex(block), offset)); };
  EXPECT_EQ(present(0, 0), Found());
  EXPECT_EQ(*store_->next_hole(key_of(0), 77, kTestBlock), 77u);
  apply({make_write(1, 2, 2 * kChunkSize, bytes_of_seed(1, kChunkSize)), make_write(2, 7, 0, full()),
         with(make_write(3, 4, 0, full()), 0, 0, InodeId(2))});
  EXPECT_EQ(present(0, 0), at(2, 2 * kChunkSize));
  EXPECT_EQ(present(2, 2 * kChunkSize + 5), at(2, 2 * kChunkSize + 5));
  EXPECT_EQ(present(2, 3 * kChunkSize), at(7, 0)) << "not the other inode's";
  EXPECT_EQ(present(7, kTestBlock - 1), at(7, kTestBlock - 1));
  EXPECT_EQ(present(8, 0), Found());
  EXPECT_EQ(*store_->next_hole(key_of(2), 100, kTestBlock), 100u);
  EXPECT_EQ(*store_->next_hole(key_of(2), 2 * kChunkSize + 1, kTestBlock), 3 * kChunkSize);
  EXPECT_EQ(*store_->next_hole(key_of(7), 5, kTestBlock), kTestBlock);
  EXPECT_EQ(*store_->next_hole(key_of(7), kTestBlock, kTestBlock), kTestBlock);
}

TEST(InodeState, IsWhatWasEncodedOrRefused) {
  const InodeState state{kRemovedFence, -5, 3, 4096, 7, Sequence(8), Sequence(9)};
  const std::string bytes = encode_inode_state(state);
  auto back = decode_inode_state(bytes);
  ASSERT_TRUE(back.is_ok());
  EXPECT_EQ(*back, state);
  for (size_t n = 0; n < bytes.size(); n++) {
    EXPECT_EQ(decode_inode_state(bytes.substr(0, n)).status().code(), Code::kCorrupt) << n;
    std::string flipped = bytes;
    flipped[n] = static_cast<char>(flipped[n] ^ 16);
    EXPECT_EQ(decode_inode_state(flipped).status().code(), Code::kCorrupt) << n;
  }
  EXPECT_EQ(decode_inode_state(bytes + 'x').status().code(), Code::kCorrupt);
}

// An index that was written before there were files: families and used bytes come at the first opening.
TEST(OldIndex, GetsInodesAndMetadataWhenItIsOpened) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  {
    auto store = open_store(*disk, directory.path());
    const std::vector<RecordPtr> records{make_write(1, 0, 0, bytes_of_seed(1, kTestBlock))};
    ASSERT_TRUE(store->apply(kTestGroup, kTestBlock, records).is_ok());
    ASSERT_TRUE(store->checkpoint(kTestGroup, "kept").is_ok());
  }
  {
    rocksdb::DB* db = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : {"default", "blocks", "groups", "disk", "metadata", "inodes"})
      families.push_back({name, {}});
    ASSERT_TRUE(rocksdb::DB::Open({}, directory.path() + "/index", families, &handles, &db).ok());
    const std::string version_1("\1\0\0\0\0\0\0\0", 8);
    ASSERT_TRUE(db->Put({}, handles[3], "format", version_1).ok());
    ASSERT_TRUE(db->DropColumnFamily(handles[4]).ok());
    ASSERT_TRUE(db->DropColumnFamily(handles[5]).ok());
    for (auto* handle : handles) ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    delete db;
  }
  for (int life = 0; life < 2; life++) {
    auto store = open_store(*disk, directory.path());
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->inode_state(kTestGroup, kInode)->used_bytes, kTestBlock);
    EXPECT_EQ(*store->kv().usage(kTestGroup), KvUsage());
    EXPECT_EQ(store->checkpoints()->size(), 1u);
  }
}

}  // namespace
}  // namespace shima
