// What a group that is dropped leaves behind, and one whose blocks are.
#include <gtest/gtest.h>

#include "tests/unit/coreserver/driver/driven_group.h"

namespace shima {
namespace {

using namespace replication;

constexpr uint64_t kRecords = 40;  // enough to be applied at once

// All of them, committed, to a secondary that keeps them as blocks.
Append records_to_fold() {
  Append append;
  append.term = Term(2);
  append.round = 1;
  append.committed = Sequence(kRecords);
  append.fold = true;
  for (uint64_t s = 1; s <= kRecords; s++) {
    auto record = std::make_shared<Record>(*make_write(s, s % 4, 0, bytes_of_seed(s, kTestBlock)));
    record->header.position.term = Term(2);
    record->header.previous_term = Term(s > 1 ? 2 : 0);
    append.records.push_back(record);
  }
  return append;
}

// A remote is whole again, and has them all.
Append word_to_trim() {
  Append append;
  append.term = Term(2);
  append.round = 1;
  append.committed = append.trim = Sequence(kRecords);
  return append;
}

class GroupApply : public testing::Test {
 protected:
  void SetUp() override {
    secondary_.start();
    via_ = std::make_shared<RecordedConnection>(secondary_.shard().loop());
    secondary_.receive(Hello{Term(2), 1, {}, {}, {}}, via_);
  }

  DrivenGroup secondary_{kSecondaryId};
  ConnectionPtr via_;
};

// A secondary that folds applies from its journal: on the disk's worker the deletion may already stand behind
// the reading, and what was read must not be written after it.
TEST_F(GroupApply, WhatWasReadWhenTheGroupIsDroppedIsNotAppliedAnyMore) {
  auto worker = secondary_.hold_worker();
  secondary_.receive(records_to_fold(), via_);
  ASSERT_TRUE(comes_true([&] { return secondary_.durable() == Sequence(kRecords); }));
  std::promise<Status> dropped;
  secondary_.on_loop([&] {
    worker->set_value();
    std::promise<void> read;
    secondary_.disk().worker().post([&] { read.set_value(); });
    read.get_future().get();
    secondary_.shard().find(kTestGroup)->drop([&](Status status) { dropped.set_value(std::move(status)); });
  });
  ASSERT_TRUE(dropped.get_future().get());
  for (int i = 0; i < 3; i++) secondary_.settle();
  EXPECT_EQ(secondary_.blocks().stats().blocks, 0u);
}

TEST_F(GroupApply, WhatWasReadWhenItsBlocksAreDroppedIsNotAppliedAnyMore) {
  auto worker = secondary_.hold_worker();
  secondary_.receive(records_to_fold(), via_);
  ASSERT_TRUE(comes_true([&] { return secondary_.durable() == Sequence(kRecords); }));
  secondary_.receive(word_to_trim(), via_);
  worker->set_value();
  for (int i = 0; i < 3; i++) secondary_.settle();
  EXPECT_EQ(secondary_.blocks().stats().blocks, 0u);
}

TEST_F(GroupApply, WhatWaitsToBeAppliedWhenItsBlocksAreDroppedIsNotAppliedLater) {
  Append few = records_to_fold();
  few.records.resize(4);  // too few to be applied before the next tick
  few.committed = Sequence(4);
  Append trim = word_to_trim();
  trim.committed = trim.trim = Sequence(4);
  secondary_.receive(few, via_);
  ASSERT_TRUE(comes_true([&] { return secondary_.durable() == Sequence(4); }));
  secondary_.receive(trim, via_);
  secondary_.on_loop([&] { secondary_.shard().find(kTestGroup)->tick(); });
  for (int i = 0; i < 3; i++) secondary_.settle();
  EXPECT_EQ(secondary_.blocks().stats().blocks, 0u);
}

}  // namespace
}  // namespace shima
