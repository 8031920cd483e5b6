// Space: recycling, moving the live records of lagging groups, and full disks.
#include <sys/mount.h>

#include <thread>

#include "tests/unit/coreserver/journal/faulty_disk.h"
#include "tests/unit/coreserver/journal/journal_fixture.h"

namespace shima {
namespace {

class JournalSpace : public JournalTest {
 protected:
  JournalSpace() { options_.segment_bytes = 128 << 10; }
  // Waits until the journal's thread has done what it had to do.
  template <typename Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 12'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory_),
                                             std::filesystem::directory_iterator()));
  }
};

const GroupId kA = group_of(1);
const GroupId kB = group_of(2);
const GroupId kC = group_of(3);

TEST_F(JournalSpace, ReleasingKeepsTheDiskBounded) {
  open();
  for (uint64_t s = 1; s <= 3000; s += 50) {
    append_all(kA, s, s + 49);
    journal_->release(kA, Sequence(s + 40));
  }
  EXPECT_LE(files(), 12u);
  EXPECT_GT(journal_->stats().recycled_segments, 50u);
  open();
  EXPECT_EQ(recovered_sequences(kA), range(2992, 3000));
}

TEST_F(JournalSpace, AReleaseReachesTheDiskInAQuietMoment) {
  open();
  append_all(kA, 1, 5);
  journal_->release(kA, Sequence(3));
  EXPECT_TRUE(eventually([&] {
    auto all = entries(path_of(1));
    return !all.empty() && all.back().entry.type == EntryType::kRelease &&
           all.back().control.sequence == Sequence(3);
  }));
}

TEST_F(JournalSpace, LiveRecordsOfALaggingGroupAreMoved) {
  options_.max_bytes = 2 << 20;
  open();
  append_all(kB, 1, 3);
  uint64_t b = 3;
  for (uint64_t s = 1; s <= 4000; s += 20) {
    append_all(kA, s, s + 19);
    if (s % 200 == 1) {
      ASSERT_TRUE(append(kB, ++b));  // pins a segment now and then
    }
    journal_->release(kA, Sequence(s + 19));
  }
  EXPECT_TRUE(eventually([&] { return journal_->has_space(); }));
  EXPECT_GT(journal_->stats().moved_records, 0u);
  for (int i = 0; i < 2; ++i) {
    for (uint64_t s = 1; s <= b; ++s) expect_record(kB, s);
    open();
    EXPECT_EQ(recovered_sequences(kB), range(1, b));
    EXPECT_FALSE(recovered_[kB].damaged) << recovered_[kB].damage;
    EXPECT_TRUE(recovered_sequences(kA).empty());
  }
}

TEST_F(JournalSpace, VoidedRecordsStayVoidWhenTheSegmentOfTheirTruncationIsRecycled) {
  open();
  append_all(kB, 1, 1);   // pins the first segment
  append_all(kC, 1, 5);   // 3 to 5 will be void
  append_all(kA, 1, 60);  // fills segments
  ASSERT_TRUE(truncate(kC, 2));
  journal_->drop_group(group_of(9));
  append_all(kA, 61, 120);
  append_all(kA, 121, 150);
  journal_->release(kA, Sequence(150));
  EXPECT_TRUE(eventually([&] { return journal_->stats().segments <= 3; })) << journal_->stats().segments;
  EXPECT_EQ(segment_paths().front(), path_of(1));
  for (int i = 0; i < 2; ++i) {
    open();
    EXPECT_EQ(recovered_sequences(kC), range(1, 2));
    EXPECT_EQ(recovered_sequences(kB), range(1, 1));
    EXPECT_EQ(recovered_[kA].released, Sequence(150));
    EXPECT_TRUE(recovered_sequences(kA).empty());
  }
}

TEST_F(JournalSpace, ADroppedGroupStaysDroppedWhenTheSegmentOfItsDropIsRecycled) {
  open();
  append_all(kB, 1, 1);
  append_all(kC, 1, 5);
  append_all(kA, 1, 60);
  journal_->drop_group(kC);
  append_all(kC, 3, 3, 8);
  append_all(kA, 61, 120);
  journal_->release(kC, Sequence(3));
  journal_->release(kA, Sequence(120));
  append_all(kA, 121, 150);
  journal_->release(kA, Sequence(150));
  EXPECT_TRUE(eventually([&] { return journal_->stats().segments <= 3; }));
  open();
  EXPECT_TRUE(recovered_sequences(kC).empty());
  EXPECT_EQ(recovered_[kC].released, Sequence(3));
}

TEST_F(JournalSpace, BeyondTheMaximumThereIsNoSpaceUntilRecordsAreReleased) {
  options_.max_bytes = 1 << 20;
  open();
  uint64_t s = 1;
  for (; journal_->has_space() && s < 2000; ++s) ASSERT_TRUE(append(kA, s));
  EXPECT_GT(s, 150u);
  EXPECT_LT(s, 260u);
  ASSERT_TRUE(append(kA, s)) << "what is under way still finds room";
  journal_->release(kA, Sequence(s - 10));
  EXPECT_TRUE(eventually([&] { return journal_->has_space(); }));
}

TEST_F(JournalSpace, AFullDiskRefusesInOrderAndGoesOnAfterARelease) {
  auto disk = std::make_unique<FaultyDisk>();
  FaultyDisk& faulty = *disk;
  disk_ = std::move(disk);
  open();
  append_all(kA, 1, 10);
  // The next segment is made in the background; a journal of one segment has nothing that a release could
  // free.
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(path_of(2)); }));
  faulty.no_new_space = true;
  uint64_t s = 11;
  Status status;
  for (; s < 1000; ++s) {
    status = append(kA, s);
    if (!status) break;
  }
  EXPECT_EQ(status.code(), Code::kNoSpace) << status.to_string();
  EXPECT_GT(s, 20u);
  EXPECT_FALSE(journal_->has_space());
  EXPECT_EQ(append(kA, s + 1).code(), Code::kNoSpace) << "its predecessor was refused";
  expect_record(kA, s - 1);
  journal_->release(kA, Sequence(s - 5));
  EXPECT_TRUE(eventually([&] { return append(kA, s).is_ok(); }));
  ASSERT_TRUE(append(kA, s + 1));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(s - 4, s + 1));
  EXPECT_FALSE(recovered_[kA].damaged);
}

TEST_F(JournalSpace, AWriteThatFailsLeavesNothingBehind) {
  auto disk = std::make_unique<FaultyDisk>();
  FaultyDisk& faulty = *disk;
  disk_ = std::move(disk);
  open();
  append_all(kA, 1, 3);
  EXPECT_TRUE(eventually([&] { return segment_paths().size() >= 2; }));
  for (int round = 0; round < 3; ++round) {
    std::mutex mutex;
    std::vector<Code> answers;
    faulty.writes_until_full = 0;
    for (uint64_t s = 4; s <= 9; ++s) {
      journal_->append(make_record(kA, s), [&](Status status) {
        std::lock_guard lock(mutex);
        answers.push_back(status.code());
      });
    }
    EXPECT_EQ(append(kA, 10).code(), Code::kNoSpace);
    EXPECT_EQ(answers, std::vector<Code>(6, Code::kNoSpace));
    faulty.writes_until_full = -1;
    ASSERT_TRUE(append(kB, static_cast<uint64_t>(round) + 1, 1, 0));
  }
  ASSERT_TRUE(append(kA, 4, 2));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(1, 4));
  EXPECT_EQ(recovered_[kA].records.back().position.term, Term(2));
  EXPECT_EQ(recovered_sequences(kB), range(1, 3));
  EXPECT_FALSE(recovered_[kA].damaged);
}

TEST_F(JournalSpace, AFailedSyncEndsTheProcess) {
  EXPECT_DEATH(
      {
        FaultyDisk faulty;
        auto journal = Journal::open(faulty, directory_, kTestDiskId, options_);
        (void)wait([&](Journal::Done done) { (*journal)->append(make_record(kA, 1), done); });
        faulty.fail_sync = true;
        (void)wait([&](Journal::Done done) { (*journal)->append(make_record(kA, 2), done); });
      },
      "check failed");
}

TEST_F(JournalSpace, ARealFileSystemThatIsFullIsSurvived) {
  std::filesystem::create_directories(root_ + "/small");
  if (::mount("tmpfs", (root_ + "/small").c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "may not mount";
  directory_ = root_ + "/small/journal";
  open();
  uint64_t s = 1;
  while (s < 2000 && append(kA, s)) ++s;
  EXPECT_GT(s, 100u);
  EXPECT_LT(s, 300u);
  journal_->release(kA, Sequence(s - 1));
  EXPECT_TRUE(eventually([&] { return append(kA, s).is_ok(); }));
  open();
  EXPECT_EQ(recovered_sequences(kA), range(s, s));
  journal_.reset();
  ::umount2((root_ + "/small").c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace shima
