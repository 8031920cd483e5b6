#include "common/observe/log.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(LogLimit, LetsOneLineAKeyThroughInEachInterval) {
  LogLimit limit(60'000);
  uint64_t suppressed = 9;
  EXPECT_TRUE(limit.allow("a", 1'000, suppressed));
  EXPECT_EQ(suppressed, 0u);
  EXPECT_FALSE(limit.allow("a", 2'000, suppressed));
  EXPECT_FALSE(limit.allow("a", 60'999, suppressed));
  EXPECT_TRUE(limit.allow("b", 2'000, suppressed));
  EXPECT_TRUE(limit.allow("a", 61'000, suppressed));
  EXPECT_EQ(suppressed, 2u);
}

TEST(LogLimit, RemembersABoundedNumberOfKeys) {
  LogLimit limit(60'000);
  uint64_t suppressed = 0;
  for (int i = 0; i < 10'000; i++) EXPECT_TRUE(limit.allow(std::to_string(i), 1, suppressed));
}

}  // namespace
}  // namespace shima
