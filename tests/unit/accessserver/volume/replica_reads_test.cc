// Reads away from the home with the bytes from the own site's replica (R17).
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "common/types/block_routing.h"
#include "tests/unit/accessserver/volume/replica_reads_fixture.h"

namespace shima {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class ReplicaReads : public ReplicaReadsTest {
 protected:
  // Lets the replica answer its next read only when the primary has answered and `change` has happened since.
  void change_before_the_replica_answers(std::function<void()> change) {
    auto armed = std::make_shared<std::atomic<bool>>(true);
    there_->behave([this, armed, change = std::move(change)](const Header&) {
      if (!armed->exchange(false)) return Behaviour{};
      for (bool answered = false; !answered; std::this_thread::sleep_for(milliseconds(1))) {
        std::lock_guard lock(volume_->mutex);
        answered = !volume_->reads.empty();
      }
      change();
      ship();
      return Behaviour{};
    });
  }

  void apply_at_home(data::v1::WriteRequest write, const Buffer& payload = {}) {
    std::lock_guard lock(volume_->mutex);
    write.set_inode(kFile.value);
    write.set_group(group_of_block(VolumeId(77), kFile, BlockIndex(0), 8).value);
    write.set_length(static_cast<uint32_t>(payload.size()));
    volume_->apply(write, payload);
  }
  void truncate_at_home(uint32_t offset, uint64_t fence) {
    data::v1::WriteRequest cut;
    cut.set_truncate(true);
    cut.set_offset(offset);
    cut.set_fence(fence);
    apply_at_home(cut);
  }
};

TEST_F(ReplicaReads, BytesComeFromTheOwnSiteWhenItIsCurrent) {
  open_there();
  write(0, 5 * kBlock, 1, {.fence = 3});
  ship();
  auto [got, fence] = read_file(kFile, 0, 5 * kBlock);
  ASSERT_TRUE(got.is_ok()) << got.status().to_string();
  EXPECT_EQ(*got, random_bytes(5 * kBlock, 1));
  EXPECT_EQ(fence, 3u);  // the primary's: a replica says none
  EXPECT_EQ(asked(), (Asked{.versions = 5, .home = 0, .replica = 5}));
  VolumeClientStats stats = client_->stats();
  EXPECT_EQ(stats.replica_reads, 5u);
  EXPECT_EQ(stats.replica_bytes, 5u * kBlock);
  EXPECT_EQ(stats.replica_fallbacks, 0u);
  EXPECT_EQ(stats.read_bytes, 5u * kBlock);
}

TEST_F(ReplicaReads, PartsOfBlocksMeetInOneAnswer) {
  open_there({.replica_read_min_bytes = 20'000});
  write(0, 3 * kBlock, 1);
  ship();
  // The first piece is smaller than what is worth it.
  EXPECT_EQ(*read_file(kFile, kBlock - 5000, kBlock + 5000 + 20'001).first,
            random_bytes(3 * kBlock, 1).slice(kBlock - 5000, kBlock + 5000 + 20'001));
  EXPECT_EQ(asked(), (Asked{.versions = 2, .home = 1, .replica = 2}));
}

TEST_F(ReplicaReads, AReplicaThatIsBehindIsNotBelieved) {
  open_there();
  write(0, kBlock, 1);
  ship();
  write(0, kBlock, 2);
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 2));
  EXPECT_EQ(asked(), (Asked{.versions = 1, .home = 1, .replica = 1}));
  EXPECT_EQ(client_->stats().replica_fallbacks, 1u);
  EXPECT_EQ(client_->stats().replica_reads, 0u);
}

TEST_F(ReplicaReads, OtherRecordsOfTheGroupNeedNotBeThere) {
  open_there();
  write(0, kBlock, 1);
  ship();
  ASSERT_TRUE(write_file(InodeId(6), 0, random_bytes(kSize, 2)).is_ok());
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  EXPECT_EQ(asked(), (Asked{.versions = 1, .home = 0, .replica = 1}));
}

TEST_F(ReplicaReads, AReplicaInTroubleIsLeftAloneByGroup) {
  open_there({.replica_pause_ms = 600'000});
  write(0, 2 * kBlock, 1);
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  asked();
  ship();
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  EXPECT_EQ(asked(), (Asked{.versions = 0, .home = 1, .replica = 0}));
  ASSERT_TRUE(read_file(kFile, kBlock, kBlock).first.is_ok());  // another group
  EXPECT_EQ(asked(), (Asked{.versions = 1, .home = 0, .replica = 1}));
}

TEST_F(ReplicaReads, AReplicaInTroubleIsAskedAgainAfterAWhile) {
  open_there({.replica_pause_ms = 50});
  write(0, kBlock, 1);
  ASSERT_TRUE(read_file(kFile, 0, kBlock).first.is_ok());
  EXPECT_EQ(client_->stats().replica_fallbacks, 1u);
  ship();
  EXPECT_TRUE(in_the_end([&] {
    EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
    return client_->stats().replica_reads == 1;
  }));
}

TEST_F(ReplicaReads, NothingThatAReplicaDoesFailsARead) {
  open_there();
  write(0, kBlock, 1);
  ship();
  struct Case {
    Behaviour trouble;
    uint32_t wait_ms;  // brief where nothing comes
  };
  for (const Case& each :
       {Case{{.how = Misbehave::kClose}, 20'000}, Case{{.how = Misbehave::kFlipBit}, 20'000},
        Case{{.how = Misbehave::kIgnore}, 20}, Case{{.code = Code::kUnavailable}, 20'000},
        Case{{.code = Code::kNotPrimary}, 20'000}, Case{{.code = Code::kInvalidArgument}, 20'000},
        Case{{.code = Code::kNotFound}, 20'000}, Case{{.delay_ms = 600'000}, 20}}) {
    open_there({.replica_wait_ms = each.wait_ms, .replica_pause_ms = 1});
    there_->behave([&each](const Header&) { return each.trouble; });
    const Result<Buffer> got = read_file(kFile, 0, kBlock).first;
    ASSERT_TRUE(got.is_ok()) << got.status().to_string();
    EXPECT_EQ(*got, random_bytes(kBlock, 1));
    EXPECT_EQ(client_->stats().replica_fallbacks, 1u);
    EXPECT_EQ(client_->stats().replica_reads, 0u);
    EXPECT_EQ(client_->stats().checksum_errors, each.trouble.how == Misbehave::kFlipBit ? 1u : 0u);
    there_->behave(nullptr);
    EXPECT_TRUE(in_the_end([&] {
      EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
      return client_->stats().replica_reads == 1;
    }));
  }
}

TEST_F(ReplicaReads, AReplicaThatIsGoneCostsAtMostOneMoreTrip) {
  open_there();
  write(0, 16 * kBlock, 1);
  ship();
  ASSERT_TRUE(read_file(kFile, 0, kBlock).first.is_ok());  // connects
  there_ = nullptr;
  for (int i = 0; i < 3; i++) {
    auto started = steady_clock::now();
    EXPECT_EQ(*read_file(kFile, 0, 16 * kBlock).first, random_bytes(16 * kBlock, 1));
    EXPECT_LT(steady_clock::now() - started, milliseconds(19'000));  // less than the wait
  }
  EXPECT_EQ(client_->stats().replica_reads, 1u);
}

TEST_F(ReplicaReads, BytesThatComeALittleLaterAreWaitedFor) {
  open_there();
  write(0, kBlock, 1);
  ship();
  there_->behave([](const Header&) { return Behaviour{.delay_ms = 60}; });
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  EXPECT_EQ(asked(), (Asked{.versions = 1, .home = 0, .replica = 1}));
}

TEST_F(ReplicaReads, ThePrimarysAnswerIsWaitedForHoweverEarlyTheBytesAre) {
  open_there();
  write(0, kBlock, 1);
  ship();
  behave([](const Header&) { return Behaviour{.delay_ms = 60}; });
  auto started = steady_clock::now();
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  EXPECT_GE(steady_clock::now() - started, milliseconds(59));
  EXPECT_EQ(asked(), (Asked{.versions = 1, .home = 0, .replica = 1}));
}

TEST_F(ReplicaReads, ATruncationThatTheReplicaLacksIsSeen) {
  open_there();
  write(0, 4 * kBlock, 1);
  ship();
  ASSERT_TRUE(truncate_file(kFile, kBlock + 4096, 4 * kBlock, 1).is_ok());
  auto [got, fence] = read_file(kFile, 0, 4 * kBlock);
  ASSERT_TRUE(got.is_ok()) << got.status().to_string();
  EXPECT_EQ(fence, 1u);
  EXPECT_EQ(got->slice(0, kBlock + 4096), random_bytes(4 * kBlock, 1).slice(0, kBlock + 4096));
  EXPECT_EQ(got->slice(kBlock + 4096, 3 * kBlock - 4096), Buffer::zeros(3 * kBlock - 4096));
  ship();
  EXPECT_TRUE(in_the_end([&] {  // once the replica is asked again
    asked();
    EXPECT_EQ(*read_file(kFile, 0, 4 * kBlock).first, *got);
    return asked().home == 0;
  }));
}

TEST_F(ReplicaReads, ATruncationAfterThePrimarysAnswerDoesNotShowThroughUnderItsFence) {
  open_there();
  for (uint32_t cut : {0u, 8192u}) {  // takes the block away; leaves a part of it
    uint64_t before = cut == 0 ? 0 : 1;
    write(0, kBlock, 1, {.fence = before});
    ship();
    asked();
    change_before_the_replica_answers([this, cut, before] { truncate_at_home(cut, before + 1); });
    auto [got, fence] = read_file(kFile, 0, kBlock);
    ASSERT_TRUE(got.is_ok()) << got.status().to_string();
    EXPECT_EQ(fence, before + 1);
    EXPECT_EQ(got->slice(0, cut), random_bytes(kBlock, 1).slice(0, cut));
    EXPECT_EQ(got->slice(cut, kBlock - cut), Buffer::zeros(kBlock - cut));
    EXPECT_EQ(asked(), (Asked{.versions = 1, .home = 1, .replica = 1}));
  }
}

TEST_F(ReplicaReads, AWriteBehindATruncationAfterThePrimarysAnswerIsReadWithItsFence) {
  open_there();
  write(0, kBlock, 1);
  ship();
  asked();
  change_before_the_replica_answers([this] {
    truncate_at_home(0, 1);
    data::v1::WriteRequest write;
    write.set_fence(1);
    apply_at_home(write, random_bytes(kBlock, 2));
  });
  auto [got, fence] = read_file(kFile, 0, kBlock);
  EXPECT_EQ(*got, random_bytes(kBlock, 2));
  EXPECT_EQ(fence, 1u);
}

TEST_F(ReplicaReads, HolesNeedNoBytesOfAnybody) {
  open_there();
  write(0, kBlock, 1);
  there_->behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  EXPECT_EQ(*read_file(kFile, 3 * kBlock, 2 * kBlock).first, Buffer::zeros(2 * kBlock));
  EXPECT_EQ(asked().home, 0u);
  EXPECT_EQ(client_->stats().replica_fallbacks, 0u);
}

TEST_F(ReplicaReads, APunchedBlockIsAHoleWhateverTheReplicaHolds) {
  open_there();
  write(0, kBlock, 1);
  ASSERT_TRUE(truncate_file(kFile, 8192, kBlock, 1).is_ok());
  ship();  // a part of the block is left, and its version is the truncation
  write(0, kBlock, 2, {.fence = 1});
  ASSERT_TRUE(punch_file(kFile, 0, kBlock, {.fence = 1}).is_ok());
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, Buffer::zeros(kBlock));
}

TEST_F(ReplicaReads, SmallPiecesGoStraightHome) {
  open_there();
  write(0, kBlock, 1);
  ship();
  EXPECT_EQ(*read_file(kFile, 0, kBlock - 1).first, random_bytes(kBlock, 1).slice(0, kBlock - 1));
  EXPECT_EQ(asked(), (Asked{.versions = 0, .home = 1, .replica = 0}));
}

TEST_F(ReplicaReads, WithoutAReplicaAtTheOwnSiteAllIsReadAtHome) {
  for (const char* site : {"", "here", "nowhere"}) {
    open({.own_site = site});
    write(0, kBlock, 1);
    ship();
    EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
    EXPECT_EQ(asked(), (Asked{.versions = 0, .home = 1, .replica = 0})) << site;
  }
}

TEST_F(ReplicaReads, TheImageOfAVolumeIsReadAtHome) {
  open_there();
  ASSERT_TRUE(client_->write(0, random_bytes(kBlock, 1)).is_ok());
  ship();
  EXPECT_EQ(*client_->read(0, kBlock), random_bytes(kBlock, 1));
  EXPECT_EQ(asked(), (Asked{.versions = 0, .home = 1, .replica = 0}));
}

TEST_F(ReplicaReads, AReplicaWithoutAddressIsLookedUpAgain) {
  VolumeLayout known = source_.fetch("db").value();
  VolumeLayout unknown = known;
  for (GroupLayout& group : unknown.groups) group.members[1].host.clear();
  source_.set(unknown);
  open_there({.ask_after_ms = 10});
  write(0, kBlock, 1);
  ship();
  asked();
  source_.set(known);
  EXPECT_TRUE(in_the_end([&] {
    EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
    return client_->stats().replica_reads > 0;
  }));
}

TEST_F(ReplicaReads, FollowsAReplicaToItsNewServer) {
  open_there({.ask_after_ms = 10});
  write(0, kBlock, 1);
  ship();
  ASSERT_TRUE(read_file(kFile, 0, kBlock).first.is_ok());
  FakeCoreServer other(there_volume_, 4);
  VolumeLayout layout = source_.fetch("db").value();
  layout.config_version = ConfigVersion(2);
  for (GroupLayout& group : layout.groups) group.members[1] = other.member(MemberKind::kRemote, "there");
  source_.set(layout);
  there_ = nullptr;
  EXPECT_TRUE(in_the_end([&] {
    EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
    return client_->stats().replica_reads >= 2;
  }));
  client_.reset();
}

TEST_F(ReplicaReads, ThePrimarysTroubleIsHandledAsEver) {
  open_there();
  write(0, kBlock, 1);
  ship();
  for (Behaviour trouble : {Behaviour{.how = Misbehave::kClose}, Behaviour{.code = Code::kNotPrimary},
                            Behaviour{.code = Code::kUnavailable}}) {
    misbehave(1, trouble);
    EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  }
  misbehave(1, {.how = Misbehave::kAnswerTwice});
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  EXPECT_EQ(asked().home, 0u);
  EXPECT_EQ(client_->stats().replica_reads, 4u);
  misbehave(1, {.code = Code::kCorrupt});  // its index cannot be read
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  misbehave(1, {.code = Code::kNotFound});
  EXPECT_EQ(read_file(kFile, 0, kBlock).first.status().code(), Code::kNotFound);
}

TEST_F(ReplicaReads, WithoutThePrimaryThereIsNoAnswer) {
  open_there();
  write(0, kBlock, 1);
  ship();
  open_there({.deadline_ms = 150, .replica_wait_ms = 10});
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  EXPECT_EQ(read_file(kFile, 0, kBlock).first.status().code(), Code::kDeadlineExceeded);
  behave(nullptr);
  EXPECT_TRUE(in_the_end([&] { return read_file(kFile, 0, kBlock).first.is_ok(); }));
}

TEST_F(ReplicaReads, ADeadlineEndsTheWaitForTheReplica) {
  open_there();
  write(0, kBlock, 1);
  ship();
  open_there({.deadline_ms = 150, .replica_wait_ms = 10'000});
  there_->behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  EXPECT_EQ(read_file(kFile, 0, kBlock).first.status().code(), Code::kDeadlineExceeded);
  there_->behave(nullptr);
  EXPECT_TRUE(in_the_end([&] { return read_file(kFile, 0, kBlock).first.is_ok(); }));
}

TEST_F(ReplicaReads, ANewHomeAtTheOwnSiteEndsThem) {
  open_there();
  write(0, kBlock, 1);
  ship();
  VolumeLayout layout = source_.fetch("db").value();
  layout.config_version = ConfigVersion(2);
  layout.home = "there";
  for (GroupLayout& group : layout.groups)
    group = {Term(2), {there_->member(MemberKind::kPrimary, "there"), one_.member(MemberKind::kRemote)}};
  source_.set(layout);
  ASSERT_TRUE(client_->refresh().is_ok());
  EXPECT_EQ(*read_file(kFile, 0, kBlock).first, random_bytes(kBlock, 1));
  std::lock_guard lock(there_volume_->mutex);
  ASSERT_EQ(there_volume_->reads.size(), 1u);
  EXPECT_FALSE(there_volume_->reads[0].own_replica() || there_volume_->reads[0].version_only());
}

TEST_F(ReplicaReads, ClosingEndsThoseThatWaitForTheReplica) {
  open_there();
  write(0, kBlock, 1);
  there_->behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  asked();
  std::atomic<int> unavailable{0};
  for (int i = 0; i < 20; i++) {
    client_->read_file(kFile, 0, kBlock, [&](const Status& status, const Buffer&, uint64_t) {
      unavailable += status.code() == Code::kUnavailable;
    });
  }
  while (asked().versions == 0) std::this_thread::sleep_for(milliseconds(1));
  client_.reset();
  EXPECT_EQ(unavailable, 20);
}

}  // namespace
}  // namespace shima
