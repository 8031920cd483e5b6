#include "accessserver/fuse/lock_releases.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(LockReleases, NobodyWaitsWithoutThem) {
  LockReleases releases;
  int ran = 0;
  releases.after(7, [&] { ++ran; });
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(releases.newest(), 0u);
  const uint64_t other = releases.begin(8);
  releases.after(7, [&] { ++ran; });
  EXPECT_EQ(ran, 2) << "another inode's";
  releases.end(8, other);
}

TEST(LockReleases, ThoseThatHaveBegunAreWaitedForAndNoneThatComeLater) {
  LockReleases releases;
  const uint64_t first = releases.begin(7), second = releases.begin(7);
  EXPECT_EQ(releases.newest(), second);
  bool early = false, late = false;
  releases.after(7, [&] { early = true; });
  const uint64_t third = releases.begin(7);
  releases.after(7, [&] { late = true; });
  releases.end(7, second);
  EXPECT_FALSE(early) << "the first is under way";
  releases.end(7, first);
  EXPECT_TRUE(early);
  EXPECT_FALSE(late);
  releases.end(7, third);
  EXPECT_TRUE(late);
}

TEST(LockReleases, AWaitingTaskMayBeginAndWaitAgain) {
  LockReleases releases;
  const uint64_t first = releases.begin(7);
  bool ran = false;
  releases.after(7, [&] {
    const uint64_t next = releases.begin(7);
    releases.after(7, [&] { ran = true; });
    releases.end(7, next);
  });
  releases.end(7, first);
  EXPECT_TRUE(ran);
  releases.end(7, first);  // once more has no effect
}

}  // namespace
}  // namespace shima
