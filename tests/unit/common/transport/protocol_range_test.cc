#include "common/transport/protocol_range.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(ProtocolRange, TheNewestThatBothSpeakIsTaken) {
  EXPECT_EQ(agree_on_protocol({1, 1}, {1, 1}, "server 3").value(), 1u);
  EXPECT_EQ(agree_on_protocol({1, 2}, {1, 1}, "server 3").value(), 1u);
  EXPECT_EQ(agree_on_protocol({1, 3}, {2, 5}, "server 3").value(), 3u);
  EXPECT_EQ(agree_on_protocol({2, 5}, {1, 3}, "server 3").value(), 3u);
}

TEST(ProtocolRange, WithoutOneTheOlderSideIsToldToUpgrade) {
  const Status old = agree_on_protocol({1, 1}, {2, 3}, "server 3").status();
  EXPECT_EQ(old.code(), Code::kFailedPrecondition);
  EXPECT_EQ(
      old.message(),
      "server 3 speaks data protocol 2 to 3, this program 1: upgrade this program, one minor release at "
      "a time");
  EXPECT_NE(agree_on_protocol({2, 3}, {1, 1}, "server 3").status().message().find("upgrade server 3"),
            std::string::npos);
}

TEST(ProtocolRange, WhoSaysNothingSpeaksTheFirst) {
  EXPECT_EQ(protocol_range_from(0, 0).value(), (ProtocolRange{1, 1}));
  EXPECT_EQ(protocol_range_from(2, 4).value(), (ProtocolRange{2, 4}));
}

TEST(ProtocolRange, WhatIsNoRangeIsRefused) {
  EXPECT_EQ(protocol_range_from(0, 1).status().code(), Code::kCorrupt);
  EXPECT_EQ(protocol_range_from(1, 0).status().code(), Code::kCorrupt);
  EXPECT_EQ(protocol_range_from(3, 2).status().code(), Code::kCorrupt);
  EXPECT_EQ(protocol_range_from(5, 0xffffffff).value().max, 0xffffffff);
}

}  // namespace
}  // namespace shima
