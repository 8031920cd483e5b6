#include "accessserver/fuse/path_walks.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using std::chrono::milliseconds;

struct Walks : testing::Test {
  std::chrono::steady_clock::time_point now{};
  PathWalks walks{[this] { return now; }};
};

TEST_F(Walks, WhatAThreadFoundLastItMayOpenOnce) {
  walks.found(10, 7);
  EXPECT_FALSE(walks.take(11, 7)) << "another thread";
  EXPECT_FALSE(walks.take(10, 8)) << "another inode";
  EXPECT_TRUE(walks.take(10, 7));
  EXPECT_FALSE(walks.take(10, 7)) << "once";
  walks.found(10, 7);
  walks.found(10, 8);
  EXPECT_FALSE(walks.take(10, 7));
  EXPECT_TRUE(walks.take(10, 8));
}

TEST_F(Walks, AreForgotten) {
  walks.found(10, 7);
  walks.forget(10 + PathWalks::kSlots);  // has the same place
  walks.forget(10);
  EXPECT_FALSE(walks.take(10, 7));
  walks.found(10, 7);
  now += PathWalks::kLongest + milliseconds(1);
  EXPECT_FALSE(walks.take(10, 7));
}

TEST_F(Walks, OfThreadsThatShareAPlaceTheNewestCounts) {
  walks.found(10, 7);
  walks.found(10 + PathWalks::kSlots, 9);
  EXPECT_FALSE(walks.take(10, 7));
  EXPECT_TRUE(walks.take(10 + PathWalks::kSlots, 9));
}

TEST_F(Walks, OfThreadsWithoutANumberCountForAllOfThemForAWhile) {
  EXPECT_FALSE(walks.take(0, 0));
  walks.found(0, 7);
  walks.found(0, 8);
  walks.forget(0);  // which of them did something else is not known
  EXPECT_TRUE(walks.take(0, 7));
  EXPECT_TRUE(walks.take(0, 7)) << "by another one";
  EXPECT_TRUE(walks.take(0, 8));
  EXPECT_FALSE(walks.take(10, 7));
  EXPECT_FALSE(walks.take(0, 9));
  now += PathWalks::kLongest + milliseconds(1);
  EXPECT_FALSE(walks.take(0, 7));
}

}  // namespace
}  // namespace shima
