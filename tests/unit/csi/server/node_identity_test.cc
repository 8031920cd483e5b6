#include "csi/server/node_identity.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(NodeIdentity, WhatWasBuiltIsParsed) {
  for (const NodeIdentity& identity :
       {NodeIdentity{"worker-1.example", "site-a", {"10.1.0.5", "fd00::5"}}, NodeIdentity{"n", "s", {}}}) {
    const auto text = build_node_id(identity);
    ASSERT_TRUE(text.is_ok());
    const auto back = parse_node_id(*text);
    ASSERT_TRUE(back.is_ok()) << *text;
    EXPECT_EQ(*back, identity);
  }
  EXPECT_EQ(*build_node_id({"n", "s", {"10.1.0.5", "fd00::5"}}), "n|s|10.1.0.5,fd00::5");
}

TEST(NodeIdentity, AddressesComeOutInOneSpelling) {
  EXPECT_EQ(*build_node_id({"n", "s", {"FD00:0:0::5"}}), "n|s|fd00::5");
  EXPECT_EQ(parse_node_id("n|s|FD00:0:0::5")->addresses, std::vector<std::string>{"fd00::5"});
}

TEST(NodeIdentity, HostileTextIsRefused) {
  for (const std::string text : {"",
                                 "|",
                                 "||",
                                 "n",
                                 "n|s",
                                 "n|s|10.0.0.1|x",
                                 "|s|10.0.0.1",
                                 "n||10.0.0.1",
                                 "n|s|host",
                                 "n|s|10.0.0.1,",
                                 "n|s|,10.0.0.1",
                                 "n|S|10.0.0.1",
                                 "-n|s|",
                                 "n-|s|",
                                 "n\n|s|",
                                 "n|s\t|",
                                 "n/m|s|",
                                 "some-fake-node-id",
                                 "n|s|1,1,1",
                                 "n|s|10.0.0.1\n"}) {
    EXPECT_EQ(parse_node_id(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_FALSE(parse_node_id(std::string("n\0|s|", 5)).is_ok());
}

TEST(NodeIdentity, LengthsAreBounded) {
  const std::string most(256 - 3, 'a');  // "|s|" is left
  EXPECT_TRUE(build_node_id({most, "s", {}}).is_ok());
  EXPECT_TRUE(parse_node_id(most + "|s|").is_ok());
  EXPECT_FALSE(build_node_id({most, "ss", {}}).is_ok());
  EXPECT_FALSE(parse_node_id(most + "|ss|").is_ok());
  EXPECT_FALSE(parse_node_id(std::string(100'000, ',')).is_ok());
  const std::vector<std::string> eight(8, "10.0.0.1"), nine(9, "10.0.0.1");
  EXPECT_TRUE(build_node_id({"n", "s", eight}).is_ok());
  EXPECT_FALSE(build_node_id({"n", "s", nine}).is_ok());
}

}  // namespace
}  // namespace shima
