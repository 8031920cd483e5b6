#include "coreserver/cluster/software_rules.h"

#include <gtest/gtest.h>

#include "coreserver/cluster/cluster_state_builder.h"
#include "coreserver/cluster/records.h"
#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

ServerSoftware release(uint32_t number, uint32_t formats_level = 1) {
  return {"0." + std::to_string(number) + ".0", number, formats_level, 1, 1};
}

using Others = std::map<std::string, OtherServer>;

TEST(SoftwareRules, NeighbouringReleasesRunTogether) {
  EXPECT_TRUE(check_may_join(release(2), 1, {}));
  EXPECT_TRUE(
      check_may_join(release(2), 1, {{"a/core-0", {true, release(1)}}, {"a/core-1", {true, release(2)}}}));
  EXPECT_TRUE(check_may_join(release(1), 1, {{"a/core-0", {true, release(2)}}}));
  EXPECT_TRUE(check_may_join(release(1), 1, {{"a/core-0", {true, {}}}}))
      << "too old to say counts as release 1";
}

TEST(SoftwareRules, AnUpgradeThatSkipsAReleaseIsRefusedWithTheOneToTakeFirst) {
  const Status refused = check_may_join(release(3), 1, {{"a/core-0", {true, release(1)}}});
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("0.3.0 (release 3), but a/core-0 runs 0.1.0 (release 1)"),
            std::string::npos)
      << refused.message();
  EXPECT_NE(refused.message().find("to release 2 first"), std::string::npos) << refused.message();
}

TEST(SoftwareRules, AServerThatIsAwayCountsToo) {
  const Status refused =
      check_may_join(release(3), 1, {{"a/core-0", {false, release(1)}}, {"a/core-1", {true, release(2)}}});
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition)
      << "it would come back to releases that do not know it";
  EXPECT_NE(refused.message().find("a/core-0, which is away, ran 0.1.0 (release 1)"), std::string::npos)
      << refused.message();
  EXPECT_NE(refused.message().find("take its records away"), std::string::npos) << "there is a way out";
  EXPECT_TRUE(check_may_join(release(3), 1, {{"a/core-0", {false, release(2)}}}));
}

TEST(SoftwareRules, WhatTheServerItselfRanLastCountsAlsoWhenNobodyElseIsThere) {
  EXPECT_TRUE(check_may_join(release(3), 1, {}, release(2)));
  EXPECT_TRUE(check_may_join(release(1), 1, {}, release(2)));
  const Status skipped = check_may_join(release(3), 1, {{"a/core-1", {true, release(2)}}}, release(1));
  EXPECT_EQ(skipped.code(), Code::kFailedPrecondition);
  EXPECT_NE(skipped.message().find("this server ran 0.1.0 (release 1) before"), std::string::npos)
      << skipped.message();
  EXPECT_NE(skipped.message().find("run release 2 here first"), std::string::npos) << skipped.message();
  EXPECT_EQ(check_may_join(release(1), 1, {}, release(3)).code(), Code::kFailedPrecondition);
}

TEST(SoftwareRules, ThereIsNoWayBackBehindRaisedFormats) {
  EXPECT_TRUE(check_may_join(release(2, 2), 2, {}));
  const Status refused = check_may_join(release(1, 1), 2, {{"a/core-0", {true, release(2, 2)}}});
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("raised to level 2"), std::string::npos) << refused.message();
}

TEST(SoftwareRules, FormatsAreThoseThatAllServersReadAlsoThoseThatAreAway) {
  EXPECT_EQ(formats_level_of_all(release(3, 3), {}), 3u);
  EXPECT_EQ(formats_level_of_all(release(3, 3),
                                 {{"a/core-0", {true, release(3, 3)}}, {"b/core-0", {false, release(2, 2)}}}),
            2u);
  EXPECT_EQ(formats_level_of_all(release(3, 3), {{"a/core-0", {true, {}}}}), 1u);
}

// ---- as the cluster's state shows it

EtcdWatchBatch listed(std::vector<std::pair<std::string, std::string>> records) {
  EtcdWatchBatch batch{EtcdWatchBatch::Kind::kFullList, EtcdRevision(9), {}};
  for (auto& [key, value] : records) batch.changes.push_back({false, {key, value, EtcdRevision(9), {}}});
  return batch;
}

TEST(SoftwareRules, SoftwareOfAnEarlierIncarnationIsNotThatOfTheServer) {
  ServerInfo server = sample_server(1, "site-a/core-0");
  server.incarnation = Incarnation(5);
  ClusterStateBuilder builder;
  const auto with = [&](uint64_t incarnation) {
    builder.apply(listed({{server_key(server.name), encode_server(server)},
                          {software_key(server.name),
                           encode_software({server.name, Incarnation(incarnation), release(2, 2)})}}));
    return builder.state().servers.at(ServerId(1)).software;
  };
  EXPECT_EQ(with(5), release(2, 2));
  EXPECT_EQ(with(4), ServerSoftware()) << "a program that is too old to say has started since";
}

TEST(SoftwareRules, RefusalsAndFormatsComeAndGoWithTheirRecords) {
  const RefusedStart refused{"site-a/core-0", "0.3.0", "too new"};
  ClusterStateBuilder builder;
  builder.apply(listed(
      {{refusal_key(refused.server), encode_refusal(refused)}, {formats_key(), encode_formats({3, "x"})}}));
  EXPECT_EQ(builder.state().refused.at("site-a/core-0"), refused);
  EXPECT_EQ(builder.state().formats_level, 3u);
  builder.apply(listed({}));
  EXPECT_TRUE(builder.state().refused.empty());
  EXPECT_EQ(builder.state().formats_level, 1u);
}

TEST(SoftwareRules, RecordsThatCannotBeAreRefused) {
  const auto item = [](const std::string& key, const std::string& value) {
    return EtcdKeyValue{key, value, {}, {}};
  };
  const SoftwareInfo good{"site-a/core-0", Incarnation(1), release(1)};
  EXPECT_TRUE(decode_software(item(software_key(good.name), encode_software(good))));
  for (auto spoil : {+[](SoftwareInfo& s) { s.incarnation = Incarnation(); },
                     +[](SoftwareInfo& s) { s.software.release = 0; },
                     +[](SoftwareInfo& s) { s.software.formats_level = 0; },
                     +[](SoftwareInfo& s) { s.software.protocol_min = 2; },
                     +[](SoftwareInfo& s) { s.name = "site-a/core-1"; }}) {
    SoftwareInfo bad = good;
    spoil(bad);
    EXPECT_EQ(decode_software(item(software_key(good.name), encode_software(bad))).status().code(),
              Code::kCorrupt);
  }
  EXPECT_EQ(decode_formats(item(formats_key(), encode_formats({0, ""}))).status().code(), Code::kCorrupt);
  EXPECT_EQ(decode_refusal(item(refusal_key("site-b/core-0"), encode_refusal({"site-a/core-0", "", ""})))
                .status()
                .code(),
            Code::kCorrupt);
}

}  // namespace
}  // namespace shima
