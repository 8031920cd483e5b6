#include "accessserver/fileops/range_order.h"

#include <gtest/gtest.h>

#include <string>

namespace shima {
namespace {

class RangeOrders : public testing::Test {
 protected:
  RangeOrder::Ticket enter(uint64_t start, uint64_t end, char name) {
    return order_.enter(start, end, [this, name] { ran_ += name; });
  }
  RangeOrder order_;
  std::string ran_;
};

TEST_F(RangeOrders, RangesThatDoNotOverlapGoSideBySide) {
  enter(0, 10, 'a');
  enter(10, 20, 'b');
  EXPECT_EQ(ran_, "ab");
}

TEST_F(RangeOrders, OneThatOverlapsWaitsForAllEarlierOnes) {
  auto a = enter(0, 10, 'a');
  auto b = enter(10, 20, 'b');
  enter(5, 15, 'c');
  EXPECT_EQ(ran_, "ab");
  order_.leave(a);
  EXPECT_EQ(ran_, "ab");
  order_.leave(b);
  EXPECT_EQ(ran_, "abc");
}

TEST_F(RangeOrders, OneThatWaitsIsInTheWayOfThoseAfterIt) {
  auto a = enter(0, 10, 'a');
  auto b = enter(0, 20, 'b');
  auto c = enter(15, 16, 'c');
  EXPECT_EQ(ran_, "a");
  order_.leave(a);
  EXPECT_EQ(ran_, "ab");
  order_.leave(b);
  EXPECT_EQ(ran_, "abc");
  order_.leave(c);
  EXPECT_TRUE(order_.empty());
}

TEST_F(RangeOrders, AnEmptyRangeIsInNobodysWay) {
  enter(5, 5, 'a');
  enter(5, 6, 'b');
  EXPECT_EQ(ran_, "ab");
}

}  // namespace
}  // namespace shima
