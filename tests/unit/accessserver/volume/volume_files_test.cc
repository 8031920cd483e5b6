// Bytes of files through the volume client: inodes, fences, truncations, what data groups know, and seeks.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "common/types/block_routing.h"
#include "common/types/record.h"
#include "tests/unit/accessserver/volume/volume_client_fixture.h"

namespace shima {
namespace {

constexpr InodeId kFile{5}, kOther{6};

uint32_t group_of(InodeId inode, uint64_t block) {
  return group_of_block(VolumeId(77), inode, BlockIndex(block), 8).value;
}

class VolumeFiles : public VolumeClientTest {
 protected:
  std::set<uint32_t> groups_written() const {
    std::set<uint32_t> groups;
    for (const auto& write : volume_->writes) groups.insert(write.group());
    return groups;
  }
};

TEST_F(VolumeFiles, EachInodeHasBytesOfItsOwn) {
  open();
  std::map<uint64_t, std::vector<uint8_t>> expected;
  for (InodeId inode : {InodeId(1), kFile, kOther}) expected[inode.value].resize(kSize);
  std::mt19937_64 random(7);
  for (int i = 0; i < 100; i++) {
    InodeId inode = i % 2 ? kFile : kOther;
    uint64_t offset = random() % kSize,
             length = 1 + random() % std::min<uint64_t>(kSize - offset, 3 * kBlock);
    Buffer bytes = random_bytes(length, random());
    ASSERT_TRUE(write_file(inode, offset, bytes).is_ok());
    std::memcpy(expected[inode.value].data() + offset, bytes.data(), length);
    if (i % 5 == 0) {
      ASSERT_TRUE(punch_file(inode, offset, length / 2).is_ok());
      std::memset(expected[inode.value].data() + offset, 0, length / 2);
    }
    uint64_t at = random() % kSize, size = random() % (kSize - at);
    auto [got, fence] = read_file(inode, at, size);
    ASSERT_TRUE(got.is_ok()) << got.status().to_string();
    ASSERT_EQ(*got, Buffer::copy_of(std::span(expected[inode.value]).subspan(at, size)));
  }
  EXPECT_EQ(*client_->read(0, kSize), Buffer::zeros(kSize));
  for (const auto& write : volume_->writes)
    EXPECT_EQ(write.group(), group_of(InodeId(write.inode()), write.block()));
}

TEST_F(VolumeFiles, AreNotBoundByTheVolumesSize) {
  open();
  uint64_t far = 1ull << 43;
  ASSERT_TRUE(write_file(kFile, far, random_bytes(100, 1)).is_ok());
  EXPECT_EQ(*read_file(kFile, far, 100).first, random_bytes(100, 1));
  EXPECT_EQ(client_->write(far, random_bytes(100, 1)).code(), Code::kInvalidArgument);
}

TEST_F(VolumeFiles, RefuseRangesThatCannotBe) {
  open();
  uint64_t last = ~uint64_t{0} >> 1;
  EXPECT_EQ(write_file(kFile, last, random_bytes(1, 1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(write_file(kFile, ~uint64_t{0}, random_bytes(10, 1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(punch_file(kFile, last, 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(punch_file(kFile, 10, ~uint64_t{0}).code(), Code::kInvalidArgument);
  EXPECT_EQ(read_file(kFile, ~uint64_t{0}, 2).first.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(read_file(kFile, 0, kMaxFileReadBytes + 1).first.status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(read_file(kFile, 0, kMaxFileReadBytes).first.is_ok());
  EXPECT_TRUE(volume_->writes.empty());
}

TEST_F(VolumeFiles, WritesAndPunchesCarryFenceAndTime) {
  open();
  ASSERT_TRUE(write_file(kFile, kBlock - 10, random_bytes(20, 1), {.fence = 3, .time_ns = 1234}).is_ok());
  ASSERT_TRUE(punch_file(kFile, 0, 10, {.fence = 4, .time_ns = 1235}).is_ok());
  ASSERT_EQ(volume_->writes.size(), 3u);
  for (const auto& write : volume_->writes) {
    EXPECT_EQ(write.fence(), write.punch() ? 4u : 3u);
    EXPECT_EQ(write.time_ns(), write.punch() ? 1235 : 1234);
    EXPECT_FALSE(write.truncate());
    EXPECT_GT(write.request(), 0u);
  }
}

TEST_F(VolumeFiles, AReadTellsTheHighestFenceOfItsPieces) {
  open();
  ASSERT_NE(group_of(kFile, 0), group_of(kFile, 1));
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(10, 1), {.fence = 9}).is_ok());
  ASSERT_TRUE(write_file(kFile, kBlock, random_bytes(10, 1), {.fence = 4}).is_ok());
  EXPECT_EQ(read_file(kFile, 0, 10).second, 9u);
  EXPECT_EQ(read_file(kFile, kBlock, 10).second, 4u);
  EXPECT_EQ(read_file(kFile, 0, 2 * kBlock).second, 9u);
  EXPECT_EQ(read_file(kOther, 0, 10).second, 0u);
}

TEST_F(VolumeFiles, AStaleFenceEndsAWriteOnlyWhenNoPieceIsOnItsWay) {
  open();
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(10, 1), {.fence = 2}).is_ok());
  const uint64_t before = volume_->executed;
  const uint32_t refusing = group_of(kFile, 0);
  behave([refusing](const Header& header) {
    return Behaviour{.delay_ms = header.write().group() == refusing ? 0u : 150u};
  });
  auto started = std::chrono::steady_clock::now();
  Status status = write_file(kFile, 0, random_bytes(4 * kBlock, 1), {.fence = 1});
  EXPECT_EQ(status.code(), Code::kStaleFence) << status.to_string();
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(150));
  EXPECT_GT(volume_->executed, before);
  EXPECT_EQ(client_->stats().pieces_sent_again, 0u);
}

TEST_F(VolumeFiles, AfterAStaleFenceOnlyPiecesThatMayHaveHappenedGoOn) {
  open({.max_in_flight = 2});
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(10, 1), {.fence = 2}).is_ok());
  volume_->writes.clear();
  // The first piece is refused; the second one's answer is lost; the others wait for a place.
  auto lost = std::make_shared<std::atomic<bool>>(false);
  behave([lost](const Header& header) {
    bool lose = header.write().block() == 1 && !lost->exchange(true);
    return Behaviour{.how = lose ? Misbehave::kExecuteThenClose : Misbehave::kNo};
  });
  Status status = write_file(kFile, 0, random_bytes(20 * kBlock, 1), {.fence = 1});
  EXPECT_EQ(status.code(), Code::kStaleFence) << status.to_string();
  std::map<uint64_t, int> sent;
  for (const auto& write : volume_->writes) sent[write.block()]++;
  EXPECT_EQ(sent[1], 2);  // until its end was known
  EXPECT_LT(sent.size(), 20u);
}

TEST_F(VolumeFiles, ATruncationGoesToTheGroupsThatMayHoldItsBlocks) {
  open();
  ASSERT_TRUE(truncate_file(kFile, 3 * kBlock + 100, 5 * kBlock + 1, 7).is_ok());
  EXPECT_EQ(groups_written(), (std::set{group_of(kFile, 3), group_of(kFile, 4), group_of(kFile, 5)}));
  EXPECT_EQ(volume_->writes.size(), groups_written().size());
  for (const auto& write : volume_->writes) {
    EXPECT_TRUE(write.truncate());
    EXPECT_FALSE(write.remove());
    EXPECT_FALSE(write.punch());
    EXPECT_EQ(write.inode(), kFile.value);
    EXPECT_EQ(write.block(), 3u);  // the same place at every group
    EXPECT_EQ(write.offset(), 100u);
    EXPECT_EQ(write.length(), 0u);
    EXPECT_EQ(write.fence(), 7u);
    EXPECT_GT(write.request(), 0u);
  }
}

TEST_F(VolumeFiles, ATruncationWithinOneBlockAsksOneGroup) {
  open();
  ASSERT_TRUE(truncate_file(kFile, 10, 20, 1).is_ok());
  ASSERT_EQ(volume_->writes.size(), 1u);
  EXPECT_EQ(volume_->writes[0].group(), group_of(kFile, 0));
  ASSERT_TRUE(truncate_file(kFile, 0, kBlock, 2).is_ok());
  EXPECT_EQ(volume_->writes.size(), 2u);
}

TEST_F(VolumeFiles, ATruncationOfManyBlocksGoesToAllGroups) {
  open();
  ASSERT_TRUE(truncate_file(kFile, 0, 1ull << 44, kRemovedFence, true).is_ok());
  EXPECT_EQ(volume_->writes.size(), 8u);
  EXPECT_EQ(groups_written().size(), 8u);
  for (const auto& write : volume_->writes) {
    EXPECT_TRUE(write.remove());
    EXPECT_EQ(write.fence(), kRemovedFence);
  }
  EXPECT_EQ(write_file(kFile, 0, random_bytes(10, 1), {.fence = 5}).code(), Code::kStaleFence);
}

TEST_F(VolumeFiles, ATruncationOfNothingAsksNobody) {
  open();
  EXPECT_TRUE(truncate_file(kFile, 100, 100, 1).is_ok());
  EXPECT_TRUE(truncate_file(kFile, 100, 50, 1).is_ok());
  EXPECT_TRUE(volume_->writes.empty());
}

TEST_F(VolumeFiles, ATruncationDropsBytesOnce) {
  open();
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(6 * kBlock, 1)).is_ok());
  misbehave(2, {.how = Misbehave::kExecuteThenClose});
  ASSERT_TRUE(truncate_file(kFile, kBlock + 100, 6 * kBlock, 1).is_ok());
  Buffer got = *read_file(kFile, 0, 6 * kBlock).first;
  EXPECT_EQ(got.slice(0, kBlock + 100), random_bytes(6 * kBlock, 1).slice(0, kBlock + 100));
  EXPECT_EQ(got.slice(kBlock + 100, 5 * kBlock - 100), Buffer::zeros(5 * kBlock - 100));
  EXPECT_EQ(write_file(kFile, 2 * kBlock, random_bytes(10, 2)).code(), Code::kStaleFence);
  ASSERT_TRUE(write_file(kFile, 2 * kBlock, random_bytes(10, 2), {.fence = 1}).is_ok());
  ASSERT_TRUE(truncate_file(kFile, kBlock + 100, 6 * kBlock, 1).is_ok());  // whoever completes it again
  EXPECT_EQ(*read_file(kFile, 2 * kBlock, 10).first, random_bytes(10, 2));
}

TEST_F(VolumeFiles, InodeDataIsThatOfAllGroupsTogether) {
  open();
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(16 * kBlock, 1), {.time_ns = 50}).is_ok());
  ASSERT_TRUE(write_file(kFile, 3 * kBlock, random_bytes(10, 1), {.fence = 2, .time_ns = 70}).is_ok());
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(10, 1), {.fence = 2, .time_ns = 60}).is_ok());
  ASSERT_TRUE(write_file(kOther, 0, random_bytes(10, 1), {.time_ns = 99}).is_ok());
  misbehave(1, {.code = Code::kNotPrimary});
  auto [status, data] = inode_data(kFile);
  ASSERT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(data.fence, 2u);
  EXPECT_EQ(data.mtime_ns, 70);
  EXPECT_EQ(data.changes, 18u);
  EXPECT_EQ(data.used_bytes, 16u * kBlock);
  EXPECT_EQ(data.volume_used_bytes, 17u * kBlock);
  std::set<uint32_t> asked;
  for (const auto& query : volume_->inode_queries) asked.insert(query.group());
  EXPECT_EQ(asked.size(), 8u);
  EXPECT_EQ(client_->stats().queries, 1u);
}

TEST_F(VolumeFiles, SeekFindsTheFirstDataOfAllGroups) {
  open();
  ASSERT_TRUE(write_file(kFile, 20 * kBlock + 8192, random_bytes(4096, 1)).is_ok());
  ASSERT_TRUE(write_file(kFile, 30 * kBlock, random_bytes(4096, 1)).is_ok());
  EXPECT_EQ(seek(kFile, 0, kSize, false).second, 20 * kBlock + 8192);
  EXPECT_EQ(seek(kFile, 20 * kBlock + 9000, kSize, false).second, 20 * kBlock + 9000);
  EXPECT_EQ(seek(kFile, 20 * kBlock + 12288, kSize, false).second, 30 * kBlock);
  EXPECT_EQ(seek(kFile, 21 * kBlock, 30 * kBlock, false).second, std::nullopt);
  EXPECT_EQ(seek(kFile, 31 * kBlock, kSize, false).second, std::nullopt);
  EXPECT_EQ(seek(kOther, 0, kSize, false).second, std::nullopt);
  volume_->seeks.clear();
  EXPECT_EQ(seek(kFile, 500, 500, false).second, std::nullopt);
  EXPECT_TRUE(volume_->seeks.empty());
}

TEST_F(VolumeFiles, SeekFindsTheFirstHoleBlockByBlock) {
  open();
  EXPECT_EQ(seek(kFile, 100, kSize, true).second, 100u);  // nothing was ever written
  EXPECT_EQ(volume_->seeks.size(), 1u);
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(kSize, 1)).is_ok());
  auto [status, place] = seek(kFile, 100, kSize, true);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(place, std::nullopt);
  ASSERT_TRUE(punch_file(kFile, 50 * kBlock + 4096, 4096).is_ok());
  ASSERT_TRUE(punch_file(kFile, 52 * kBlock, 4096).is_ok());
  volume_->seeks.clear();
  EXPECT_EQ(seek(kFile, 100, kSize, true).second, 50 * kBlock + 4096);
  for (const auto& asked : volume_->seeks) {
    EXPECT_TRUE(asked.hole());
    EXPECT_EQ(asked.group(), group_of(kFile, asked.block()));
    EXPECT_EQ(asked.offset(), asked.block() == 0 ? 100u : 0u);
  }
  EXPECT_EQ(seek(kFile, 50 * kBlock + 5000, kSize, true).second, 50 * kBlock + 5000);
  EXPECT_EQ(seek(kFile, 100, 50 * kBlock + 4096, true).second, std::nullopt);
  EXPECT_EQ(seek(kFile, 100, 50 * kBlock + 4097, true).second, 50 * kBlock + 4096);
}

TEST_F(VolumeFiles, AHoleIsFoundBehindLostConnections) {
  open();
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(10 * kBlock, 1)).is_ok());
  misbehave(2, {.how = Misbehave::kClose});
  EXPECT_EQ(seek(kFile, 0, kSize, true).second, 10 * kBlock);
}

TEST_F(VolumeFiles, ALongPunchLeavesOutWhatIsAHoleAlready) {
  open();
  const uint64_t blocks = 1 << 20, far = (blocks - 3) * kBlock;
  ASSERT_TRUE(write_file(kFile, 5000 * uint64_t{kBlock} + 4096, random_bytes(4096, 1)).is_ok());
  ASSERT_TRUE(write_file(kFile, far, random_bytes(2 * kBlock, 1)).is_ok());
  volume_->writes.clear();
  ASSERT_TRUE(punch_file(kFile, 100, blocks * kBlock - 100, {.time_ns = 9}).is_ok());
  EXPECT_LT(volume_->writes.size(), 2100u);
  EXPECT_EQ(seek(kFile, 0, blocks * kBlock, false).second, std::nullopt);
  EXPECT_EQ(*read_file(kFile, far, 2 * kBlock).first, Buffer::zeros(2 * kBlock));
  misbehave(1, {.code = Code::kNoSpace});
  EXPECT_EQ(punch_file(kFile, 0, blocks * kBlock).code(), Code::kNoSpace);
}

TEST_F(VolumeFiles, ASitesOwnCopyOfAFileIsReadThere) {
  auto there_volume = std::make_shared<FakeVolume>(kBlock);
  FakeCoreServer there(there_volume, 3);
  VolumeLayout layout = source_.fetch("db").value();
  layout.sites = {"here", "there"};
  for (GroupLayout& group : layout.groups)
    group.members.push_back(there.member(MemberKind::kRemote, "there"));
  source_.set(layout);
  open();
  ASSERT_TRUE(write_file(kFile, 0, random_bytes(kBlock, 1)).is_ok());
  auto read_at = [this](const std::string& site, uint64_t length) {
    return wait_for<Buffer>([&](auto done) { client_->read_site_file(site, kFile, 0, length, done); });
  };
  EXPECT_EQ(read_at("there", kBlock).second, Buffer::zeros(kBlock));  // nothing has reached it
  ASSERT_EQ(there_volume->reads.size(), 1u);
  EXPECT_TRUE(there_volume->reads[0].own_replica());
  EXPECT_EQ(there_volume->reads[0].inode(), kFile.value);
  EXPECT_EQ(read_at("here", kBlock).second, random_bytes(kBlock, 1));
  EXPECT_EQ(read_at("nowhere", kBlock).first.code(), Code::kNotFound);
  EXPECT_EQ(read_at("there", kMaxFileReadBytes + 1).first.code(), Code::kInvalidArgument);
  client_.reset();
}

TEST_F(VolumeFiles, DeadlinesEndEveryKind) {
  open({.deadline_ms = 150});
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  EXPECT_EQ(read_file(kFile, 0, 2 * kBlock).first.status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(write_file(kFile, 0, random_bytes(10, 1)).code(), Code::kDeadlineExceeded);
  EXPECT_EQ(punch_file(kFile, 0, 5000 * uint64_t{kBlock}).code(), Code::kDeadlineExceeded);
  EXPECT_EQ(truncate_file(kFile, 0, kSize, 1).code(), Code::kDeadlineExceeded);
  EXPECT_EQ(inode_data(kFile).first.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(seek(kFile, 0, kSize, false).first.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(seek(kFile, 0, kSize, true).first.code(), Code::kDeadlineExceeded);
  behave(nullptr);
  EXPECT_TRUE(in_the_end([&] { return inode_data(kFile).first.is_ok(); }));
  EXPECT_EQ(client_->stats().truncates, 1u);
}

}  // namespace
}  // namespace shima
