#include "coreserver/journal/journal.h"

#include <thread>

#include "tests/unit/coreserver/journal/journal_fixture.h"

namespace shima {
namespace {

using Journaling = JournalTest;
const GroupId kA = group_of(1);
const GroupId kB = group_of(2, 3);

TEST_F(Journaling, ANewJournalIsEmpty) {
  open();
  EXPECT_TRUE(recovered_.empty());
  EXPECT_TRUE(journal_->has_space());
  EXPECT_EQ(journal_->read(kA, Sequence(1), Sequence(1), 1).status().code(), Code::kNotFound);
}

TEST_F(Journaling, RecordsAreThereAfterReopening) {
  open();
  for (uint64_t s = 1; s <= 5; ++s) ASSERT_TRUE(append(kA, s));
  ASSERT_TRUE(append(kB, 40, 2, 0));
  ASSERT_TRUE(append(kB, 41, 2, 1 << 16));
  for (int i = 0; i < 3; ++i) {
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, 5));
    EXPECT_EQ(recovered_sequences(kB), range(40, 41));
    EXPECT_EQ(recovered_[kB].records[1], make_record(kB, 41, 2, 1 << 16)->header);
    EXPECT_FALSE(recovered_[kA].damaged);
    expect_record(kA, 3);
    expect_record(kB, 40, 2, 0);
    expect_record(kB, 41, 2, 1 << 16);
  }
}

// Batches of metadata have any length; their last checksum is of what is left.
TEST_F(Journaling, BatchesAndTruncationsComeBackAsTheyWere) {
  open();
  std::vector<RecordPtr> records;
  uint64_t sequence = 0;
  for (uint32_t bytes : {1u, 4095u, 4096u, 4097u, 70001u}) {
    auto batch = std::make_shared<Record>();
    batch->header.group = kA;
    batch->header.position = {Term(1), Sequence(++sequence)};
    batch->header.kind = RecordKind::kBatch;
    batch->header.length = bytes;
    batch->payload = Buffer::make(bytes, [](uint8_t* p) { p[0] = 1; });
    batch->header.checksums = chunk_checksums(batch->payload.span());
    records.push_back(batch);
  }
  for (uint32_t bytes : {0u, kChunkSize}) {
    auto truncation = std::make_shared<Record>(*make_record(kA, ++sequence, 1, bytes));
    truncation->header.kind = RecordKind::kTruncate;
    truncation->header.offset = 2 * kChunkSize;
    truncation->header.fence = kRemovedFence;
    truncation->header.time_ns = 5;
    records.push_back(truncation);
  }
  for (const RecordPtr& record : records) ASSERT_TRUE(append(record));
  for (int i = 0; i < 2; ++i) {
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, sequence));
    auto back = journal_->read(kA, Sequence(1), Sequence(sequence), 1 << 20);
    ASSERT_TRUE(back.is_ok()) << back.status().to_string();
    ASSERT_EQ(back->size(), records.size());
    for (size_t n = 0; n < records.size(); n++) EXPECT_EQ(*(*back)[n], *records[n]) << n;
  }
}

TEST_F(Journaling, AnswersComeInTheOrderOfTheCallsAndBatchesShareASync) {
  open();
  std::mutex mutex;
  std::vector<uint64_t> order;
  for (uint64_t s = 1; s <= 500; ++s) {
    journal_->append(make_record(kA, s), [&, s](Status status) {
      ASSERT_TRUE(status.is_ok());
      std::lock_guard lock(mutex);
      order.push_back(s);
    });
  }
  ASSERT_TRUE(truncate(kA, 500));
  EXPECT_EQ(order, range(1, 500));
  EXPECT_LT(journal_->stats().syncs, 200u);
  EXPECT_EQ(journal_->stats().appended_entries, 500u);
}

TEST_F(Journaling, ManyThreadsMayAppend) {
  open();
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t s = 1; s <= 100; ++s) {
        ASSERT_TRUE(append(group_of(t), s));
        if (s > 10) journal_->release(group_of(t), Sequence(s - 10));
        expect_record(group_of(t), s);
      }
    });
  }
  for (auto& t : threads) t.join();
  open();
  for (uint64_t t = 1; t <= 4; ++t) EXPECT_EQ(recovered_sequences(group_of(t)), range(91, 100));
}

TEST_F(Journaling, ReadReturnsARangeUpToTheBytesAsked) {
  open();
  append_all(kA, 1, 50);
  for (uint64_t s = 51; s <= 60; ++s) ASSERT_TRUE(append(kA, s));
  auto all = journal_->read(kA, Sequence(1), Sequence(60), UINT64_MAX);
  ASSERT_TRUE(all.is_ok()) << all.status().to_string();
  ASSERT_EQ(all->size(), 60u);
  for (uint64_t s = 1; s <= 60; ++s) EXPECT_EQ(*(*all)[s - 1], *make_record(kA, s));
  EXPECT_EQ(journal_->read(kA, Sequence(7), Sequence(60), 1)->size(), 1u);
  EXPECT_EQ(journal_->read(kA, Sequence(7), Sequence(60), 3 * 5000)->size(), 3u);
  EXPECT_EQ(journal_->read(kA, Sequence(58), Sequence(99), UINT64_MAX)->size(), 3u);
  EXPECT_EQ(journal_->read(kA, Sequence(61), Sequence(99), UINT64_MAX).status().code(), Code::kNotFound);
  EXPECT_EQ(journal_->read(kB, Sequence(1), Sequence(2), UINT64_MAX).status().code(), Code::kNotFound);
}

TEST_F(Journaling, RecordsThatWouldLeaveAGapAreRefused) {
  open();
  ASSERT_TRUE(append(kA, 10));
  EXPECT_EQ(append(kA, 12).code(), Code::kFailedPrecondition);
  EXPECT_EQ(append(kA, 10).code(), Code::kFailedPrecondition);
  ASSERT_TRUE(append(kA, 11));
  journal_->release(kA, Sequence(20));
  EXPECT_EQ(append(kA, 20).code(), Code::kFailedPrecondition);
  ASSERT_TRUE(append(kA, 30));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(30, 30));
  EXPECT_EQ(recovered_[kA].released, Sequence(20));
}

TEST_F(Journaling, ReleasedRecordsAreGone) {
  open();
  append_all(kA, 1, 10);
  journal_->release(kA, Sequence(4));
  EXPECT_EQ(journal_->read(kA, Sequence(4), Sequence(9), 1 << 20).status().code(), Code::kNotFound);
  expect_record(kA, 5);
  open();
  EXPECT_EQ(recovered_sequences(kA), range(5, 10));
  EXPECT_EQ(recovered_[kA].released, Sequence(4));
}

TEST_F(Journaling, ATruncatedRangeIsRewrittenWithAHigherTerm) {
  open();
  append_all(kA, 1, 10, 1);
  journal_->truncate(kA, Sequence(6), [](Status) {});
  for (uint64_t s = 7; s <= 8; ++s) journal_->append(make_record(kA, s, 2), [](Status) {});
  ASSERT_TRUE(append(kA, 9, 2));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(journal_->read(kA, Sequence(10), Sequence(10), 1).status().code(), Code::kNotFound);
    expect_record(kA, 6, 1);
    expect_record(kA, 7, 2);
    expect_record(kA, 9, 2);
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, 9));
    EXPECT_EQ(recovered_[kA].records[6].position.term, Term(2));
  }
}

TEST_F(Journaling, TruncatingEverythingLeavesAnEmptyLog) {
  open();
  append_all(kA, 5, 9);
  ASSERT_TRUE(truncate(kA, 0));
  open();
  EXPECT_TRUE(recovered_sequences(kA).empty());
  ASSERT_TRUE(append(kA, 5, 3));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(5, 5));
}

TEST_F(Journaling, ADroppedGroupIsForgottenAndMayComeBack) {
  open();
  append_all(kA, 1, 10);
  append_all(kB, 1, 3);
  journal_->release(kA, Sequence(8));
  journal_->drop_group(kA);
  ASSERT_TRUE(append(kA, 4, 7));
  expect_record(kA, 4, 7);
  open();
  EXPECT_EQ(recovered_sequences(kA), range(4, 4));
  EXPECT_EQ(recovered_[kA].released, Sequence(0));
  journal_->drop_group(kA);
  open();
  EXPECT_FALSE(recovered_.contains(kA));
  EXPECT_EQ(recovered_sequences(kB), range(1, 3));
}

TEST_F(Journaling, TheLargestRecordsFit) {
  options_.segment_bytes = 16 << 20;
  options_.max_batch_bytes = 1 << 20;
  open();
  append_all(kA, 1, 10, 1, kMaxBlockSize);
  for (uint64_t s = 1; s <= 10; ++s) expect_record(kA, s, 1, kMaxBlockSize);
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, 10));
  EXPECT_EQ(journal_->read(kA, Sequence(1), Sequence(10), UINT64_MAX)->size(), 10u);
}

TEST_F(Journaling, APayloadThatIsNotWhatItsChecksumsSayEndsTheProcess) {
  EXPECT_DEATH(
      {
        auto journal = Journal::open(*disk_, directory_, kTestDiskId, options_);
        Record bad = *make_record(kA, 1);
        bad.header.checksums[0] ^= 1;
        Status s = wait([&](Journal::Done done) { (*journal)->append(std::make_shared<Record>(bad), done); });
      },
      "matches its checksums");
}

TEST_F(Journaling, ImpossibleSegmentSizesAreRefused) {
  for (uint64_t bytes : {1000ull, 100000ull, 4096ull, 2ull << 30}) {
    options_.segment_bytes = bytes;
    EXPECT_EQ(try_open().code(), Code::kInvalidArgument) << bytes;
  }
}

}  // namespace
}  // namespace shima
