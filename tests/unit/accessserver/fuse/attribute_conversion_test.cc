#include "accessserver/fuse/attribute_conversion.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <limits>

namespace shima {
namespace {

FileAttributes sample() {
  FileAttributes a;
  a.set_inode(77);
  a.set_type(metadata::v1::FILE_TYPE_REGULAR);
  a.set_mode(06644);
  a.set_nlink(3);
  a.set_uid(107);
  a.set_gid(108);
  a.set_size(12345);
  a.set_used_bytes(8193);
  a.set_atime_ns(1'000'000'001);
  a.set_mtime_ns(-1);
  a.set_ctime_ns(5);
  return a;
}

TEST(AttributeConversion, RootHasFusesNumberAsANodeOnly) {
  EXPECT_EQ(inode_of(FUSE_ROOT_ID), 2u);
  EXPECT_EQ(node_of(2), static_cast<fuse_ino_t>(FUSE_ROOT_ID));
  EXPECT_EQ(inode_of(3), 3u);
  EXPECT_EQ(node_of(1ull << 40), 1ull << 40);
}

TEST(AttributeConversion, StatShowsEverything) {
  struct stat stat {};
  ASSERT_TRUE(to_stat(sample(), stat));
  EXPECT_EQ(stat.st_ino, 77u);
  EXPECT_EQ(stat.st_mode, static_cast<mode_t>(S_IFREG | 06644));
  EXPECT_EQ(stat.st_nlink, 3u);
  EXPECT_EQ(stat.st_uid, 107u);
  EXPECT_EQ(stat.st_gid, 108u);
  EXPECT_EQ(stat.st_size, 12345);
  EXPECT_EQ(stat.st_blocks, 17);
  EXPECT_EQ(stat.st_atim.tv_sec, 1);
  EXPECT_EQ(stat.st_atim.tv_nsec, 1);
  EXPECT_EQ(stat.st_mtim.tv_sec, -1);
  EXPECT_EQ(stat.st_mtim.tv_nsec, 999'999'999);
}

TEST(AttributeConversion, DevicesKeepBothNumbers) {
  FileAttributes a = sample();
  a.set_type(metadata::v1::FILE_TYPE_BLOCK_DEVICE);
  a.set_rdev_major(259);
  a.set_rdev_minor(70'000);
  struct stat stat {};
  ASSERT_TRUE(to_stat(a, stat));
  EXPECT_EQ(major(stat.st_rdev), 259u);
  EXPECT_EQ(minor(stat.st_rdev), 70'000u);
}

TEST(AttributeConversion, NonsenseOfAServerIsNotShown) {
  struct stat stat {};
  FileAttributes a = sample();
  a.set_inode(1);
  EXPECT_FALSE(to_stat(a, stat));
  a = sample();
  a.set_type(metadata::v1::FILE_TYPE_UNSPECIFIED);
  EXPECT_FALSE(to_stat(a, stat));
  a = sample();
  a.set_size(std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(to_stat(a, stat));
  a = sample();
  a.set_mode(0xffffffff);
  ASSERT_TRUE(to_stat(a, stat));
  EXPECT_EQ(stat.st_mode, static_cast<mode_t>(S_IFREG | 07777)) << "a mode must not change the type";
}

TEST(AttributeConversion, TimesRoundTripAndSaturate) {
  for (const int64_t ns :
       {int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{-1'000'000'000}, int64_t{1'500'000'000},
        std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(to_ns(to_timespec(ns)), ns);
    EXPECT_GE(to_timespec(ns).tv_nsec, 0);
  }
  EXPECT_EQ(to_ns({std::numeric_limits<time_t>::max(), 0}), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(to_ns({std::numeric_limits<time_t>::min(), 0}), std::numeric_limits<int64_t>::min());
}

TEST(AttributeConversion, OnlyWhatIsSetIsPassedOn) {
  struct stat stat {};
  stat.st_mode = S_IFREG | 0640;
  stat.st_size = 99;
  stat.st_atim = {5, 6};
  const auto none = to_new_attributes(stat, 0);
  EXPECT_FALSE(none.has_mode() || none.has_uid() || none.has_gid() || none.has_size() ||
               none.has_atime_ns() || none.has_mtime_ns() || none.atime_now() || none.mtime_now() ||
               none.has_ctime_ns());
  const auto some = to_new_attributes(stat, FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_ATIME);
  EXPECT_EQ(some.mode(), 0640u);
  EXPECT_EQ(some.size(), 99u);
  EXPECT_EQ(some.atime_ns(), 5'000'000'006);
  const auto now =
      to_new_attributes(stat, FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW);
  EXPECT_TRUE(now.atime_now() && now.mtime_now());
  EXPECT_FALSE(now.has_atime_ns());
}

TEST(AttributeConversion, EveryTypeRoundTrips) {
  for (int type = metadata::v1::FILE_TYPE_REGULAR; type <= metadata::v1::FILE_TYPE_SOCKET; ++type) {
    EXPECT_EQ(file_type_of(type_bits(static_cast<metadata::v1::FileType>(type))), type);
  }
  EXPECT_EQ(file_type_of(0644), metadata::v1::FILE_TYPE_REGULAR);
  EXPECT_EQ(file_type_of(S_IFMT), metadata::v1::FILE_TYPE_UNSPECIFIED);
}

TEST(AttributeConversion, StatisticsSurviveABlockSizeOfZero) {
  VolumeStatistics statistics;
  statistics.total_bytes = 1 << 20;
  statistics.free_bytes = 1 << 19;
  statistics.block_size = 0;
  const struct statvfs out = to_statvfs(statistics);
  EXPECT_EQ(out.f_blocks * out.f_frsize, 1u << 20);
  EXPECT_EQ(out.f_bfree * out.f_frsize, 1u << 19);
}

}  // namespace
}  // namespace shima
