// What a crash or a bad disk leaves behind, and what the journal makes of it.
#include <chrono>
#include <thread>

#include "common/types/byte_order.h"
#include "coreserver/journal/batch_builder.h"
#include "coreserver/journal/record_codec.h"
#include "tests/unit/coreserver/journal/journal_fixture.h"

namespace shima {
namespace {

using Recovery = JournalTest;
const GroupId kA = group_of(1);
const GroupId kB = group_of(2);

// A file to be read, in memory.
class MemoryFile : public FileHandle {
 public:
  explicit MemoryFile(const std::string& bytes) : bytes_(bytes) {}
  Status read_at(uint64_t offset, std::span<uint8_t> out) const override {
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return Status::ok();
  }
  Result<uint64_t> size() const override { return uint64_t{bytes_.size()}; }
  Status write_at(uint64_t, std::span<const std::span<const uint8_t>>) override { return read_only(); }
  Status sync() override { return read_only(); }
  Status allocate(uint64_t, uint64_t) override { return read_only(); }
  Status punch(uint64_t, uint64_t) override { return read_only(); }
  Status truncate(uint64_t) override { return read_only(); }

 private:
  static Status read_only() { return {Code::kPermissionDenied, "this file is read only"}; }
  const std::string& bytes_;
};

TEST_F(Recovery, ATornTailIsCutOffAtEveryByteOfTheLastEntry) {
  options_.segment_bytes = 64 << 10;
  open();
  for (uint64_t s = 1; s <= 3; ++s) ASSERT_TRUE(append(kA, s));
  journal_.reset();
  const std::string path = path_of(1);
  const std::string whole = load(path);
  const ScannedEntry last = entries(path).back();
  const uint64_t used = last.offset + kEntryHeaderBytes + last.entry.body_length + last.entry.payload_length;
  auto entries_left = [&](const std::string& bytes) {
    MemoryFile file(bytes);
    auto scan = scan_segment(file, *read_segment_header(file), false, {});
    return scan->entries;
  };
  for (uint64_t cut = last.offset; cut < used; ++cut) {
    std::string torn = whole;
    std::fill(torn.begin() + cut, torn.begin() + used, '\0');
    if (torn == whole) continue;  // the missing bytes were zeros
    ASSERT_EQ(entries_left(torn), 2u) << cut;
  }
  for (uint64_t cut : {last.offset, last.offset + 1, last.offset + 47, last.offset + 90, last.offset + 160,
                       last.offset + 3000, used - 1}) {
    std::string torn = whole;
    std::fill(torn.begin() + cut, torn.begin() + used, '\xff');
    store(path, torn);
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, 2)) << cut;
    EXPECT_FALSE(recovered_[kA].damaged) << recovered_[kA].damage;
    ASSERT_TRUE(append(kA, 3, 2));
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, 3));
    expect_record(kA, 3, 2);
  }
}

TEST_F(Recovery, BytesOfATornBatchAreNeverTakenForEntriesLater) {
  open();
  ASSERT_TRUE(append(kA, 1));
  // How many make a batch is the disk's and the scheduler's: until the last one has enough.
  std::vector<ScannedEntry> last;
  for (uint64_t s = 2; s < 800 && last.size() <= 4; s += 40) {
    append_all(kA, s, s + 39, 1, 0);
    journal_.reset();
    last.clear();
    for (auto& e : entries(path_of(1))) {
      if (!last.empty() && e.entry.batch_start != last[0].entry.batch_start) last.clear();
      last.push_back(e);
    }
    if (last.size() <= 4) open();
  }
  // Tear the middle of the last batch: valid entries of it follow, but nothing of a later batch.
  ASSERT_GT(last.size(), 4u);
  flip_bit(path_of(1), last[1].offset + 20);
  uint64_t kept = last[0].record.position.sequence.value;
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, kept));
  EXPECT_FALSE(recovered_[kA].damaged);
  ASSERT_TRUE(append(kA, kept + 1, 2));
  for (int i = 0; i < 2; ++i) {
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, kept + 1));
    EXPECT_FALSE(recovered_[kA].damaged) << recovered_[kA].damage;
  }
}

// The first batch of a segment: nine records of 192 bytes each, the fourth of `a` last.
std::string first_batch_of_segment_1(GroupId a, GroupId b) {
  std::vector<std::string> bodies;
  for (const auto& [group, sequence] : std::vector<std::pair<GroupId, uint64_t>>{
           {a, 1}, {a, 2}, {a, 3}, {b, 1}, {b, 2}, {b, 3}, {b, 4}, {b, 5}, {a, 4}})
    encode_record_header(make_record(group, sequence, 1, 0)->header, bodies.emplace_back());
  BatchBuilder batch(kTestDiskId, 1, kSegmentHeaderBytes, 1);
  for (size_t i = 0; i < bodies.size(); ++i)
    batch.add(EntryType::kRecord, false, i < 3 || i == 8 ? 1 : 4, as_bytes(bodies[i]), {});
  batch.finish();
  std::string bytes;
  for (auto piece : batch.pieces()) bytes.append(piece.begin(), piece.end());
  return bytes;
}

TEST_F(Recovery, BytesOfASegmentsTornFirstBatchAreNeverTakenForEntriesLater) {
  open();
  auto prepared = [&] { return std::filesystem::exists(path_of(1)); };
  for (int i = 0; i < 60'000 && !prepared(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(prepared());
  journal_.reset();
  // Of the batch all sectors are there but the first.
  std::string torn = load(path_of(1));
  const std::string batch = first_batch_of_segment_1(kA, kB);
  torn.replace(kSegmentHeaderBytes + 512, batch.size() - 512, batch.substr(512));
  store(path_of(1), torn);
  open();
  EXPECT_TRUE(recovered_[kA].records.empty());
  // Three batches of a sector each, with the numbers from 1 on: the old ninth entry lies right behind them.
  for (uint64_t s = 1; s <= 3; ++s) ASSERT_TRUE(append(kA, s, 2, 0));
  for (int i = 0; i < 2; ++i) {
    open();
    EXPECT_EQ(recovered_sequences(kA), range(1, 3));
    EXPECT_FALSE(recovered_[kA].damaged) << recovered_[kA].damage;
    expect_record(kA, 3, 2, 0);
  }
}

TEST_F(Recovery, ABadPayloadBeforeAValidEntryIsRotOfItsGroupAlone) {
  open();
  for (uint64_t s = 1; s <= 5; ++s) {
    ASSERT_TRUE(append(kA, s));
    ASSERT_TRUE(append(kB, s));
  }
  journal_.reset();
  auto all = entries(path_of(1));
  flip_bit(path_of(1), all[4].offset + 2000);  // record 3 of kA
  open();
  EXPECT_TRUE(recovered_[kA].damaged);
  EXPECT_NE(recovered_[kA].damage.find("record 1:3"), std::string::npos) << recovered_[kA].damage;
  EXPECT_EQ(recovered_sequences(kA), range(1, 2));
  EXPECT_FALSE(recovered_[kB].damaged);
  EXPECT_EQ(recovered_sequences(kB), range(1, 5));
  EXPECT_TRUE(journal_->damage().empty());
  // Once repaired, what lay behind the damage does not come back.
  ASSERT_TRUE(append(kA, 3, 2));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, 3));
  expect_record(kA, 3, 2);
}

TEST_F(Recovery, AnUnreadableEntryBeforeALaterBatchIsRotOfAllGroups) {
  open();
  for (uint64_t s = 1; s <= 5; ++s) {
    ASSERT_TRUE(append(kA, s));
    ASSERT_TRUE(append(kB, s));
  }
  journal_.reset();
  auto all = entries(path_of(1));
  flip_bit(path_of(1), all[4].offset + 60);  // in the header of record 3 of kA
  open();
  EXPECT_TRUE(recovered_[kA].damaged);
  EXPECT_TRUE(recovered_[kB].damaged);
  EXPECT_FALSE(journal_->damage().empty());
  EXPECT_EQ(recovered_sequences(kA), range(1, 2));
  EXPECT_EQ(recovered_sequences(kB), range(1, 5));
  open();
  EXPECT_TRUE(recovered_[kB].damaged) << "the damage is reported until it is repaired";
}

TEST_F(Recovery, DamageInASegmentThatHasASuccessorIsRotEvenAtItsEnd) {
  open();
  append_all(kA, 1, 100);
  journal_.reset();
  auto all = entries(path_of(1));
  ASSERT_EQ(all.back().entry.type, EntryType::kSeal);
  const std::string whole = load(path_of(1));
  for (uint64_t at : {all.back().offset + 3, all[all.size() - 2].offset + 3}) {
    store(path_of(1), whole);
    flip_bit(path_of(1), at);
    open();
    EXPECT_TRUE(recovered_[kA].damaged);
    EXPECT_FALSE(journal_->damage().empty());
    journal_.reset();
  }
}

TEST_F(Recovery, ADamagedSegmentStaysUntilItsGroupsAreRepaired) {
  open();
  append_all(kA, 1, 100);
  append_all(kB, 1, 5);
  journal_.reset();
  flip_bit(path_of(1), entries(path_of(1))[3].offset + 60);
  open();
  ASSERT_TRUE(recovered_[kA].damaged);
  journal_->drop_group(kA);
  ASSERT_TRUE(append(kB, 6));
  open();
  EXPECT_TRUE(recovered_[kB].damaged);
  EXPECT_TRUE(std::filesystem::exists(path_of(1)));
  journal_->drop_group(kA);
  journal_->release(kB, Sequence(6));
  ASSERT_TRUE(append(kB, 7));
  ASSERT_TRUE(append(kB, 8));
  open();
  EXPECT_FALSE(std::filesystem::exists(path_of(1)));
  EXPECT_EQ(recovered_sequences(kB), range(7, 8));
  EXPECT_FALSE(recovered_[kB].damaged) << recovered_[kB].damage;
}

TEST_F(Recovery, StaleEntriesOfARecycledSegmentAreNothing) {
  options_.segment_bytes = 64 << 10;
  open();
  for (uint64_t s = 1; s <= 200; ++s) {
    ASSERT_TRUE(append(kA, s));
    journal_->release(kA, Sequence(s));
  }
  ASSERT_GT(journal_->stats().recycled_segments, 5u);
  ASSERT_TRUE(append(kA, 201));
  for (int i = 0; i < 3; ++i) {
    open();
    EXPECT_EQ(recovered_sequences(kA), range(201, 201));
    EXPECT_EQ(recovered_[kA].released, Sequence(200));
    EXPECT_FALSE(recovered_[kA].damaged);
    expect_record(kA, 201);
  }
}

TEST_F(Recovery, AForeignOrUnknownSegmentIsRefused) {
  open();
  ASSERT_TRUE(append(kA, 1));
  journal_.reset();
  const std::string whole = load(path_of(1));
  auto refusal = [&](uint64_t at, char value) {
    std::string changed = whole;
    changed[at] = value;
    store(path_of(1), changed);
    Status s = try_open();
    EXPECT_EQ(s.code(), Code::kCorrupt);
    return s.message();
  };
  EXPECT_NE(refusal(0, 'X').find("wanted magic SHIMAJNL"), std::string::npos);
  EXPECT_NE(refusal(8, 2).find("wanted journal version 1, found 2"), std::string::npos);
  EXPECT_NE(refusal(17, 1).find("checksum"), std::string::npos);
  store(path_of(1), whole.substr(0, 5000));
  EXPECT_EQ(try_open().code(), Code::kCorrupt);
  store(path_of(1), whole);
  Status other = Journal::open(*disk_, directory_, 99, options_).status();
  EXPECT_EQ(other.code(), Code::kCorrupt);
  EXPECT_NE(other.message().find("another disk"), std::string::npos);
  std::filesystem::rename(path_of(1), path_of(9));
  EXPECT_NE(try_open().message().find("wanted segment 9"), std::string::npos);
  std::filesystem::rename(path_of(9), path_of(1));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, 1));
}

TEST_F(Recovery, WhatWasNotSyncedIsGoneAndWhatWasAnsweredIsThere) {
  disk_ = make_losing_disk(false);
  open();
  append_all(kA, 1, 30);
  // A copy of what the kernel has is what a power cut would leave.
  std::string copy = root_ + "/copy";
  copy_files(copy);
  journal_.reset();
  auto posix = make_posix_disk();
  auto journal = Journal::open(*posix, copy, kTestDiskId, options_);
  ASSERT_TRUE(journal.is_ok()) << journal.status().to_string();
  EXPECT_EQ((*journal)->take_recovered()[kA].records.size(), 30u);
}

TEST_F(Recovery, ADiskThatIgnoresSyncLosesRecords) {
  disk_ = make_losing_disk(true);
  open();
  append_all(kA, 1, 30);
  std::string copy = root_ + "/copy";
  copy_files(copy);
  journal_.reset();
  auto posix = make_posix_disk();
  // Not even the segment headers are there.
  EXPECT_EQ(Journal::open(*posix, copy, kTestDiskId, options_).status().code(), Code::kCorrupt);
}

TEST_F(Recovery, LeftoversOfAnInterruptedPreparationAreCleanedUp) {
  open();
  ASSERT_TRUE(append(kA, 1));
  journal_.reset();
  store(directory_ + "/0000000077.shj.new", "half");
  store(directory_ + "/0000000078.shj.free", "wrong size");
  store(directory_ + "/README", "not ours");
  open();
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/0000000077.shj.new"));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/0000000078.shj.free"));
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/README"));
  EXPECT_EQ(recovered_sequences(kA), range(1, 1));
}

TEST_F(Recovery, AnotherSegmentSizeMayBeChosenLater) {
  open();
  append_all(kA, 1, 100);
  options_.segment_bytes = 1 << 20;
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, 100));
  append_all(kA, 101, 400);
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, 400));
}

}  // namespace
}  // namespace shima
