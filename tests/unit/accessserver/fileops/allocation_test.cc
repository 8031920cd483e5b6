// fallocate(2), SEEK_DATA and SEEK_HOLE.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

class Allocations : public testing::Test {
 protected:
  MemoryVolume volume_{{.block_size = 65536}};
  BlockingFileSystem one_{volume_}, two_{volume_};
  uint64_t file_ = one_.create("file");
};

TEST_F(Allocations, AllocateMakesTheFileLongButNeverShort) {
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kAllocate, 1000, 9000, false), 0);
  EXPECT_EQ(two_.attributes(file_).size(), 10'000u);
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kAllocate, 0, 10, false), 0);
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kAllocate, 0, 20'000, true), 0);
  EXPECT_EQ(two_.attributes(file_).size(), 10'000u);
  EXPECT_EQ(two_.read(file_, 0, 20'000), std::string(10'000, '\0'));
}

TEST_F(Allocations, AHoleIsZeroAndGivesItsSpaceBack) {
  one_.write(file_, 0, std::string(300'000, 'x'));
  int64_t before = two_.attributes(file_).mtime_ns();
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kPunchHole, 10'000, 200'000, true), 0);
  EXPECT_EQ(two_.read(file_, 0, 400'000),
            std::string(10'000, 'x') + std::string(200'000, '\0') + std::string(90'000, 'x'));
  EXPECT_LT(volume_.used_bytes(InodeId(file_)), 120'000u);
  EXPECT_GT(two_.attributes(file_).mtime_ns(), before);
}

TEST_F(Allocations, AHoleBeyondTheEndChangesNothing) {
  one_.write(file_, 0, "hello");
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kPunchHole, 5, 1ull << 43, true), 0);
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kPunchHole, 4096, 1, true), 0);
  EXPECT_EQ(two_.read(file_, 0, 100), "hello");
}

TEST_F(Allocations, ZeroRangeExtendsUnlessTheSizeIsKept) {
  one_.write(file_, 0, "hello");
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kZeroRange, 3, 100, true), 0);
  EXPECT_EQ(two_.read(file_, 0, 200), std::string("hel\0\0", 5));
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kZeroRange, 1, 99, false), 0);
  EXPECT_EQ(two_.read(file_, 0, 200), "h" + std::string(99, '\0'));
}

TEST_F(Allocations, BadRangesAreRefused) {
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kAllocate, 0, 0, false), EINVAL);
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kAllocate, kMaxFileBytes, 1, false), EFBIG);
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kPunchHole, ~0ull, ~0ull, true), EFBIG);
  EXPECT_EQ(one_.allocate(kRootInode, AllocateKind::kAllocate, 0, 1, false), EISDIR);
}

TEST(AllocationsInAQuota, WhatTheQuotaCannotTakeIsRefusedAtOnce) {
  constexpr uint64_t kQuota = 10 << 20;
  MemoryVolume volume({.block_size = 65536, .size_bytes = kQuota});
  BlockingFileSystem one(volume);
  const uint64_t file = one.create("file"), other = one.create("other");
  ASSERT_EQ(one.write(other, 0, std::string(1 << 20, 'o')).error, 0);
  for (const bool keep_size : {false, true}) {
    EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, 100 << 20, keep_size), EDQUOT);
    EXPECT_EQ(one.allocate(file, AllocateKind::kZeroRange, 0, kQuota, keep_size), EDQUOT) << "1 MiB is used";
  }
  EXPECT_EQ(one.attributes(file).size(), 0u) << "nothing was done";
  EXPECT_EQ(one.allocate(file, AllocateKind::kPunchHole, 0, 100 << 20, true), 0);
  EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, 9 << 20, false), 0);
  EXPECT_EQ(one.attributes(file).size(), 9u << 20);
}

TEST(AllocationsInAQuota, WhatTheFileHasAllocatedIsNotCountedTwice) {
  constexpr uint64_t kQuota = 4 << 20;
  MemoryVolume volume({.block_size = 65536, .size_bytes = kQuota});
  BlockingFileSystem one(volume);
  const uint64_t file = one.create("file");
  ASSERT_EQ(one.write(file, 0, std::string(3 << 20, 'x')).error, 0);
  EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, kQuota, false), 0);
  EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, kQuota + 1, false), EDQUOT);
  EXPECT_EQ(one.allocate(file, AllocateKind::kZeroRange, 0, kQuota + 4096, false), EDQUOT);
  EXPECT_EQ(one.read(file, (3 << 20) - 2, 4), std::string("xx\0\0", 4))
      << "refused before anything is punched";
}

TEST(AllocationsInAQuota, AQuotaThatHasGrownCounts) {
  MemoryVolume volume({.block_size = 65536, .size_bytes = 1 << 20});
  BlockingFileSystem one(volume);
  const uint64_t file = one.create("file");
  EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, 2 << 20, false), EDQUOT);
  volume.set_quota_bytes(4 << 20);
  EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, 2 << 20, false), 0);
  volume.set_quota_bytes(0);
  EXPECT_EQ(one.allocate(file, AllocateKind::kAllocate, 0, 1ull << 40, false), 0);
}

TEST_F(Allocations, AHoleAfterATruncationElsewhereIsPunchedInTheFileAsItIsNow) {
  one_.write(file_, 0, std::string(300'000, 'x'));
  two_.truncate(file_, 100'000);
  EXPECT_EQ(one_.allocate(file_, AllocateKind::kPunchHole, 50'000, 200'000, true), 0);
  EXPECT_EQ(two_.read(file_, 0, 400'000), std::string(50'000, 'x') + std::string(50'000, '\0'));
}

TEST_F(Allocations, SeekFindsDataAndHoles) {
  one_.write(file_, 200'000, std::string(4096, 'x'));
  one_.truncate(file_, 400'000);
  using Found = std::pair<int, uint64_t>;
  uint64_t data = 200'000 / 4096 * 4096, hole = data + 2 * 4096;
  EXPECT_EQ(two_.seek(file_, 0, false), Found(0, data));
  EXPECT_EQ(two_.seek(file_, 200'100, false), Found(0, 200'100));
  EXPECT_EQ(two_.seek(file_, 0, true), Found(0, 0));
  EXPECT_EQ(two_.seek(file_, data, true), Found(0, hole));
  EXPECT_EQ(two_.seek(file_, hole, false), Found(ENXIO, 0));
  EXPECT_EQ(two_.seek(file_, hole, true), Found(0, hole));
  EXPECT_EQ(two_.seek(file_, 400'000, true), Found(ENXIO, 0));
  EXPECT_EQ(two_.seek(file_, 400'000, false), Found(ENXIO, 0));
  EXPECT_EQ(two_.seek(kRootInode, 0, false).first, EINVAL);
}

TEST_F(Allocations, TheEndOfAFullFileIsAHole) {
  one_.write(file_, 0, "hello");
  EXPECT_EQ(two_.seek(file_, 1, true), (std::pair<int, uint64_t>(0, 5)));
}

}  // namespace
}  // namespace shima
