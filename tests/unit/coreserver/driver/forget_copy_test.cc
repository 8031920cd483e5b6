// What a crash or an error finds, at each point of forgetting a copy.
#include "coreserver/driver/forget_copy.h"

#include <gtest/gtest.h>

#include <future>

#include "coreserver/metadata/kv_store.h"
#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

// The store of a disk on which some things fail.
class FailingStore : public BlockStore {
 public:
  explicit FailingStore(BlockStore& store) : store_(store) {}
  bool checkpoints_fail = false, deletions_fail = false;

  Status checkpoint(GroupId group, const std::string& value) override {
    return checkpoints_fail ? Status(Code::kNoSpace, "full") : store_.checkpoint(group, value);
  }
  Status delete_blocks(GroupId group) override {
    return deletions_fail ? Status(Code::kIo, "here it crashes") : store_.delete_blocks(group);
  }

  Status apply(GroupId g, uint32_t size, std::span<const RecordPtr> r) override {
    return store_.apply(g, size, r);
  }
  Status restore(GroupId g, uint32_t size, std::span<const RecordPtr> r) override {
    return store_.restore(g, size, r);
  }
  Result<BlockPiece> read(const BlockKey& key, uint32_t offset, uint32_t length) override {
    return store_.read(key, offset, length);
  }
  Status checkpoint_many(const std::vector<std::pair<GroupId, std::string>>& c) override {
    return store_.checkpoint_many(c);
  }
  Result<std::vector<std::pair<GroupId, std::string>>> checkpoints() override { return store_.checkpoints(); }
  Result<InodeState> inode_state(GroupId g, InodeId inode) override { return store_.inode_state(g, inode); }
  Status put_inode_state(GroupId g, InodeId inode, const InodeState& state) override {
    return store_.put_inode_state(g, inode, state);
  }
  Status for_each_inode(GroupId g, const std::function<bool(InodeId, const InodeState&)>& visit) override {
    return store_.for_each_inode(g, visit);
  }
  Result<std::optional<std::pair<BlockIndex, uint32_t>>> next_present(GroupId g, InodeId inode,
                                                                      BlockIndex from,
                                                                      uint32_t offset) override {
    return store_.next_present(g, inode, from, offset);
  }
  Result<uint32_t> next_hole(const BlockKey& key, uint32_t offset, uint32_t block_size) override {
    return store_.next_hole(key, offset, block_size);
  }
  KvStore& kv() override { return store_.kv(); }
  Status for_each_block(GroupId g, const std::function<bool(const BlockInfo&)>& visit) override {
    return store_.for_each_block(g, visit);
  }
  Result<uint64_t> present_bytes(GroupId g) override { return store_.present_bytes(g); }
  BlockStoreStats stats() const override { return store_.stats(); }

 private:
  BlockStore& store_;
};

class ForgetCopy : public testing::Test {
 protected:
  ForgetCopy() {
    store_ = open_store(*disk_, directory_.path());
    JournalOptions options;
    options.segment_bytes = 1 << 20;
    journal_ = Journal::open(*disk_, directory_.path() + "/journal", kTestDisk, options).value();
    const RecordPtr record = make_write(1, 0, 0, bytes_of_seed(1, kTestBlock));
    SHIMA_CHECK(store_->apply(kTestGroup, kTestBlock, {&record, 1}).is_ok(), "a record is applied");
    SHIMA_CHECK(store_->checkpoint(kTestGroup, encode_checkpoint(copy(false))).is_ok(), "and kept");
    std::promise<Status> durable;
    journal_->append(record, [&](Status status) { durable.set_value(std::move(status)); });
    SHIMA_CHECK(durable.get_future().get().is_ok(), "a record is in the journal");
  }

  static GroupCheckpoint copy(bool incomplete) {
    GroupCheckpoint c;
    c.volume = "vm-disk";
    c.block_size = kTestBlock;
    if (!incomplete) c.position = {Term(1), Sequence(1)};
    c.resyncing = incomplete;
    return c;
  }
  bool calls_itself_incomplete() {
    auto checkpoints = store_->checkpoints();
    return checkpoints->size() == 1 && decode_checkpoint(checkpoints->front().second)->resyncing;
  }
  uint64_t blocks_bytes() { return store_->present_bytes(kTestGroup).value(); }
  bool has_record() { return journal_->read(kTestGroup, Sequence(1), Sequence(1), 1).is_ok(); }
  // The journal carries out in order what it was told.
  void wait_for_journal() {
    std::promise<Status> done;
    journal_->truncate(GroupId{VolumeId(99), GroupIndex(0)}, Sequence(),
                       [&](Status status) { done.set_value(std::move(status)); });
    ASSERT_TRUE(done.get_future().get());
  }

  TestDirectory directory_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::unique_ptr<BlockStore> store_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(ForgetCopy, LeavesNothing) {
  ASSERT_TRUE(forget_copy(*store_, *journal_, kTestGroup, copy(true)));
  wait_for_journal();
  EXPECT_TRUE(calls_itself_incomplete());
  EXPECT_EQ(blocks_bytes(), 0u);
  EXPECT_FALSE(has_record());
}

TEST_F(ForgetCopy, ThatEndsInTheMiddleLeavesACopyThatCallsItselfIncomplete) {
  FailingStore failing(*store_);
  failing.deletions_fail = true;
  EXPECT_EQ(forget_copy(failing, *journal_, kTestGroup, copy(true)).code(), Code::kIo);
  EXPECT_TRUE(calls_itself_incomplete());
}

TEST_F(ForgetCopy, ThatCannotSaySoKeepsAllOfIt) {
  FailingStore failing(*store_);
  failing.checkpoints_fail = true;
  EXPECT_EQ(forget_copy(failing, *journal_, kTestGroup, copy(true)).code(), Code::kNoSpace);
  wait_for_journal();
  EXPECT_FALSE(calls_itself_incomplete());
  EXPECT_EQ(blocks_bytes(), kTestBlock);
  EXPECT_TRUE(has_record());
}

TEST_F(ForgetCopy, GivesTheSlotsBackBeforeTheNextCopyComes) {
  const auto fill = [&] {
    for (uint64_t block = 0; block < 8; block++) {  // as many as a file has slots
      const RecordPtr piece = make_write(2, block, 0, bytes_of_seed(block, kTestBlock));
      ASSERT_TRUE(store_->restore(kTestGroup, kTestBlock, {&piece, 1}));
    }
  };
  fill();
  ASSERT_EQ(store_->stats().slots, 8u);
  ASSERT_TRUE(forget_copy(*store_, *journal_, kTestGroup, copy(true)));
  fill();
  EXPECT_EQ(store_->stats().slots, 8u) << "a full disk has no room for a second file";
}

}  // namespace
}  // namespace shima
