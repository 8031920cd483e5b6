#include "coreserver/blocks/block_change.h"

#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

TEST(BlockChange, OverwrittenChunksAreWrittenOnce) {
  BlockChange change(kTestBlock);
  auto first = make_write(1, 0, 0, bytes_of_seed(1, 4 * kChunkSize));
  auto second = make_write(2, 0, kChunkSize, bytes_of_seed(2, kChunkSize));
  change.add(*first);
  change.add(*second);
  const auto runs = change.write_runs();
  ASSERT_EQ(runs.size(), 1u);
  ASSERT_EQ(runs[0].pieces.size(), 3u);
  EXPECT_EQ(runs[0].pieces[1].data(), second->payload.data());
  EXPECT_EQ(runs[0].pieces[2].size(), 2 * kChunkSize);
}

TEST(BlockChange, AdjacentRecordsBecomeOneRun) {
  BlockChange change(kTestBlock);
  auto high = make_write(1, 0, 3 * kChunkSize, bytes_of_seed(1, kChunkSize));
  auto low = make_write(2, 0, 2 * kChunkSize, bytes_of_seed(2, kChunkSize));
  auto far = make_write(3, 0, 8 * kChunkSize, bytes_of_seed(3, kChunkSize));
  for (const auto& record : {high, low, far}) change.add(*record);
  const auto runs = change.write_runs();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].offset, 2 * kChunkSize);
  EXPECT_EQ(runs[1].offset, 8 * kChunkSize);
}

TEST(BlockChange, PunchAfterWriteLeavesNothingToWrite) {
  BlockChange change(kTestBlock);
  auto write = make_write(1, 0, 0, bytes_of_seed(1, 2 * kChunkSize));
  change.add(*write);
  change.add(*make_punch(2, 0, 0, kTestBlock));
  EXPECT_TRUE(change.write_runs().empty());
  IndexEntry entry = IndexEntry::all_holes(kTestBlock);
  entry.set_present(5, 1);
  entry.set_present(6, 1);
  const auto ranges = change.punched_ranges(entry);
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].offset, 5 * kChunkSize);
  EXPECT_EQ(ranges[0].length, 2 * kChunkSize);
  change.merge_into(entry);
  EXPECT_EQ(entry.present_bytes(), 0u);
  EXPECT_EQ(entry.version, (Position{Term(1), Sequence(2)}));
}

TEST(BlockChange, BadRecordsAreRefused) {
  auto refuse = [](auto&& spoil) {
    Record record = *make_write(1, 0, 0, bytes_of_seed(1, 2 * kChunkSize));
    spoil(record);
    return check_record(record.header, record.payload, kTestGroup, kTestBlock).code();
  };
  EXPECT_EQ(refuse([](Record&) {}), Code::kOk);
  EXPECT_EQ(refuse([](Record& r) { r.header.offset = 512; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.offset = kTestBlock; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.offset = 0xfffff000; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.length = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.length = kChunkSize; }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.checksums.pop_back(); }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.group.index = GroupIndex(9); }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.kind = RecordKind(99); }), Code::kInvalidArgument);
  EXPECT_EQ(refuse([](Record& r) { r.header.checksums[1]++; }), Code::kCorrupt);
}

}  // namespace
}  // namespace shima
