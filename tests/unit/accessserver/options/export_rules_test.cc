#include "accessserver/options/export_rules.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

std::vector<ExportRule> rules(const std::vector<std::string>& texts) {
  std::vector<ExportRule> parsed;
  for (const std::string& text : texts) parsed.push_back(parse_export_rule(text).value());
  return parsed;
}

TEST(ExportRules, TheFirstRuleThatFitsDecides) {
  const auto both = rules({"10.1.2.0/24:ro:all_squash", "10.1.0.0/16:rw:no_root_squash"});
  const Access narrow = access_of(both, "10.1.2.7"), wide = access_of(both, "10.1.3.7");
  EXPECT_TRUE(narrow.allowed);
  EXPECT_TRUE(narrow.read_only);
  EXPECT_EQ(narrow.squash, Squash::kAll);
  EXPECT_TRUE(wide.allowed);
  EXPECT_FALSE(wide.read_only);
  EXPECT_EQ(wide.squash, Squash::kNone);
}

TEST(ExportRules, WhoFitsNoRuleIsRefused) {
  const auto one = rules({"10.1.0.0/16:rw:root_squash"});
  EXPECT_FALSE(access_of(one, "10.2.0.1").allowed);
  EXPECT_FALSE(access_of(one, "fd00::1").allowed);
  EXPECT_FALSE(access_of({}, "10.1.0.1").allowed);
}

TEST(ExportRules, WhatIsNoAddressIsRefused) {
  const auto all = rules({"0.0.0.0/0:rw:no_root_squash", "::/0:rw:no_root_squash"});
  for (const char* client : {"", "localhost", "10.1.1", "10.1.1.1:2049", "[::1]"}) {
    EXPECT_FALSE(access_of(all, client).allowed) << client;
  }
}

TEST(ExportRules, Ipv6SubnetsKeepTheirColons) {
  const auto one = rules({"fd00:1::/32:ro:root_squash"});
  EXPECT_TRUE(access_of(one, "fd00:1:2::3").read_only);
  EXPECT_EQ(access_of(one, "fd00:1:2::3").squash, Squash::kRoot);
  EXPECT_FALSE(access_of(one, "fd00:2::3").allowed);
}

TEST(ExportRules, AnIpv4ClientOfASocketForBothFamiliesIsItsIpv4Address) {
  const auto one = rules({"10.1.0.0/16:rw:no_root_squash"});
  EXPECT_TRUE(access_of(one, "::ffff:10.1.0.9").allowed);
  EXPECT_FALSE(access_of(one, "::ffff:10.2.0.9").allowed);
}

TEST(ExportRules, WrongRulesAreRefusedWithWhatWasFound) {
  for (const char* text :
       {"", ":", "10.1.0.0/16", "10.1.0.0/16:rw", "10.1.0.0/16:rw:", "10.1.0.0/16:wr:root_squash",
        "10.1.0.0/33:rw:root_squash", "10.1.0.1/16:rw:root_squash", "10.1.0.0:rw:root_squash",
        "10.1.0.0/16:rw:root_squash:more", "/16:rw:root_squash", "fd00::/200:rw:root_squash"}) {
    Result<ExportRule> rule = parse_export_rule(text);
    ASSERT_FALSE(rule) << text;
    EXPECT_NE(rule.status().message().find(std::string("found \"") + text + "\""), std::string::npos);
    EXPECT_NE(rule.status().message().find("wanted CIDR:rw|ro:"), std::string::npos);
  }
}

}  // namespace
}  // namespace shima
