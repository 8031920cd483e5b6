#include "common/observe/histogram.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(Histogram, IsEmptyAtTheStart) {
  Histogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.quantile(0.5), 0u);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (uint64_t v = 0; v < 60; v++) h.record(v);
  EXPECT_EQ(h.quantile(0.5), 29u);
  EXPECT_EQ(h.quantile(1.0), 59u);
}

TEST(Histogram, EveryValueIsWithinOneThirtysecondOfItsQuantile) {
  for (uint64_t v = 1; v < (uint64_t{1} << 62); v = v * 3 / 2 + 1) {
    Histogram h;
    h.record(v);
    h.record(~uint64_t{0});  // so that max() does not hide the bucket's end
    uint64_t q = h.quantile(0.5);
    EXPECT_GE(q, v);
    EXPECT_LE(q - v, v / 32);
  }
}

TEST(Histogram, QuantilesOfAUniformRangeAreRight) {
  Histogram h;
  for (uint64_t v = 1; v <= 100'000; v++) h.record(v);
  EXPECT_NEAR(static_cast<double>(h.quantile(0.5)), 50'000, 1'600);
  EXPECT_NEAR(static_cast<double>(h.quantile(0.99)), 99'000, 3'200);
  EXPECT_EQ(h.quantile(1.0), 100'000u);
  EXPECT_DOUBLE_EQ(h.mean(), 50'000.5);
}

TEST(Histogram, MergeAddsCounts) {
  Histogram a, b;
  a.record(10);
  b.record(1'000'000);
  a.merge(b);
  EXPECT_EQ(a.count(), 2u);
  EXPECT_EQ(a.quantile(0.5), 10u);
  EXPECT_EQ(a.max(), 1'000'000u);
}

}  // namespace
}  // namespace shima
