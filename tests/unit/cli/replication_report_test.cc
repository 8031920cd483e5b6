#include "cli/replication_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace shima {
namespace {

using cluster::v1::MEMBER_ROLE_PRIMARY;
using cluster::v1::MEMBER_ROLE_REMOTE;
using cluster::v1::MEMBER_ROLE_SECONDARY;
using replication::v1::GroupState;
using replication::v1::ShowGroupsReply;

// Two groups; servers 1 and 2 at home (each primary of one group), 3 at site-b, 4 at site-c.
volume::v1::GetVolumeReply make_volume() {
  volume::v1::GetVolumeReply volume;
  auto& record = *volume.mutable_record();
  record.set_name("db");
  record.set_home("site-a");
  for (const char* site : {"site-a", "site-c", "site-b"}) record.add_sites(site);
  record.set_ack(cluster::v1::ACK_MODE_LOCAL);
  const char* const names[] = {"site-a/core-0", "site-a/core-1", "site-b/core-0", "site-c/core-0"};
  for (uint64_t id = 1; id <= 4; ++id) {
    auto& server = *volume.add_servers();
    server.set_server_id(id);
    server.set_name(names[id - 1]);
  }
  for (uint32_t index = 0; index < 2; ++index) {
    auto& group = *record.add_groups();
    group.set_index(index);
    group.set_term(5);
    const auto add = [&](uint64_t id, cluster::v1::MemberRole role, const char* site) {
      auto& member = *group.add_members();
      member.set_server_id(id);
      member.set_role(role);
      member.set_site(site);
    };
    add(1 + index, MEMBER_ROLE_PRIMARY, "site-a");
    add(2 - index, MEMBER_ROLE_SECONDARY, "site-a");
    add(3, MEMBER_ROLE_REMOTE, "site-b");
    add(4, MEMBER_ROLE_REMOTE, "site-c");
  }
  return volume;
}

GroupState& add_group(ShowGroupsReply& reply, uint32_t index, cluster::v1::MemberRole role,
                      uint64_t durable) {
  GroupState& group = *reply.add_groups();
  group.set_index(index);
  group.set_role(role);
  group.mutable_durable()->set_term(5);
  group.mutable_durable()->set_sequence(durable);
  group.mutable_committed()->set_sequence(100);
  group.set_block_bytes(1000);
  group.set_journal_bytes(10);
  return group;
}

void add_member(GroupState& primary, uint64_t id, uint64_t durable, uint64_t lag_bytes, double lag_seconds) {
  auto& member = *primary.add_members();
  member.set_server_id(id);
  member.set_connected(true);
  member.set_whole(true);
  member.set_in_sync(lag_bytes == 0);
  member.mutable_durable()->set_sequence(durable);
  member.set_lag_bytes(lag_bytes);
  member.set_lag_seconds(lag_seconds);
}

std::vector<ServerAnswer> all_answers() {
  ShowGroupsReply a0, a1, b, c;
  GroupState& first = add_group(a0, 0, MEMBER_ROLE_PRIMARY, 100);
  add_member(first, 2, 100, 0, 0);
  add_member(first, 3, 90, 4096, 0.5);
  add_member(first, 4, 100, 0, 0);
  add_group(a0, 1, MEMBER_ROLE_SECONDARY, 100);
  GroupState& second = add_group(a1, 1, MEMBER_ROLE_PRIMARY, 100);
  add_member(second, 1, 100, 0, 0);
  add_member(second, 3, 80, 1024, 0.75);
  add_member(second, 4, 100, 0, 0);
  add_group(a1, 0, MEMBER_ROLE_SECONDARY, 100);
  add_group(b, 0, MEMBER_ROLE_REMOTE, 91);
  add_group(b, 1, MEMBER_ROLE_REMOTE, 81);
  add_group(c, 0, MEMBER_ROLE_REMOTE, 100);
  add_group(c, 1, MEMBER_ROLE_REMOTE, 100);
  return {
      {"site-a/core-0", 1, a0}, {"site-a/core-1", 2, a1}, {"site-b/core-0", 3, b}, {"site-c/core-0", 4, c}};
}

TEST(ReplicationReport, GroupsAddUpToALineForEachSiteAndRole) {
  const ReplicationReport report = make_report(make_volume(), all_answers());
  EXPECT_TRUE(report.complete());
  ASSERT_EQ(report.sites.size(), 4u);
  EXPECT_EQ(report.sites[0].role, MEMBER_ROLE_PRIMARY);
  EXPECT_EQ(report.sites[1].role, MEMBER_ROLE_SECONDARY);
  EXPECT_EQ(report.sites[2].site, "site-c");  // the record's order
  const SiteRow& b = report.sites[3];
  EXPECT_EQ(b.site, "site-b");
  EXPECT_EQ(b.groups, 2u);
  EXPECT_EQ(b.known, 2u);
  EXPECT_EQ(b.connected, 2u);
  EXPECT_EQ(b.in_sync, 0u);
  EXPECT_EQ(b.lag_bytes, 5120u);
  EXPECT_DOUBLE_EQ(b.lag_seconds, 0.75);
  EXPECT_EQ(b.durable_records, 170u);  // by the primaries' word
  EXPECT_EQ(b.committed_records, 200u);
  EXPECT_EQ(b.block_bytes, 2000u);
}

TEST(ReplicationReport, AnUnreachableRemoteIsStillSeenByItsPrimaries) {
  auto answers = all_answers();
  answers[2].reply = Status(Code::kUnavailable, "no connection");
  const ReplicationReport report = make_report(make_volume(), answers);
  EXPECT_FALSE(report.complete());
  ASSERT_EQ(report.unreachable.size(), 1u);
  EXPECT_EQ(report.unreachable[0].server, "site-b/core-0");
  const SiteRow& b = report.sites[3];
  EXPECT_EQ(b.lag_bytes, 5120u);
  EXPECT_EQ(b.unreachable, std::vector<std::string>{"site-b/core-0"});
  EXPECT_EQ(b.block_bytes, 0u);
}

TEST(ReplicationReport, WithoutItsPrimaryAGroupsLagIsUnknownAndTheMemberSpeaksForItself) {
  auto answers = all_answers();
  answers[1].reply = Status(Code::kUnavailable, "no connection");
  const ReplicationReport report = make_report(make_volume(), answers);
  const SiteRow& b = report.sites[3];
  EXPECT_EQ(b.known, 1u);
  EXPECT_EQ(b.durable_records, 90u + 81u);
  const auto json = report_json(report);
  EXPECT_TRUE(json["sites"][3]["lag_bytes"].is_null());
  EXPECT_EQ(json["complete"], false);
  std::ostringstream out;
  site_table(report).print(out);
  EXPECT_NE(out.str().find("unknown"), std::string::npos);
}

TEST(ReplicationReport, AServerThatNoLongerIsPrimaryIsNotBelieved) {
  auto answers = all_answers();
  answers[0].reply->mutable_groups(0)->set_role(MEMBER_ROLE_SECONDARY);
  EXPECT_EQ(make_report(make_volume(), answers).sites[3].known, 1u);
}

TEST(ReplicationReport, AMemberWithoutARegisteredServerIsNamedByItsSite) {
  auto volume = make_volume();
  volume.mutable_servers()->DeleteSubrange(3, 1);
  auto answers = all_answers();
  answers.pop_back();
  const ReplicationReport report = make_report(volume, answers);
  EXPECT_EQ(report.sites[2].unreachable, std::vector<std::string>{"site-c/?"});
}

TEST(ReplicationReport, JsonHasEverySiteAndMember) {
  const auto json = report_json(make_report(make_volume(), all_answers()));
  EXPECT_EQ(json["volume"], "db");
  ASSERT_EQ(json["sites"].size(), 4u);
  EXPECT_EQ(json["sites"][3]["lag_bytes"], 5120);
  ASSERT_EQ(json["members"].size(), 8u);
  EXPECT_EQ(json["members"][2]["server"], "site-b/core-0");
  EXPECT_EQ(json["members"][2]["durable"]["sequence"], 90);
}

TEST(ReplicationReport, BytesOfTheMetadataGroupDoNotHideThatSecondCopiesAreTrimmed) {
  volume::v1::GetVolumeReply volume = make_volume();
  volume.mutable_record()->mutable_groups(1)->set_metadata(true);
  ShowGroupsReply reply;
  add_group(reply, 0, MEMBER_ROLE_SECONDARY, 100).set_journal_bytes(0);
  add_group(reply, 1, MEMBER_ROLE_PRIMARY, 100);
  ReplicationReport report = make_report(volume, {{"site-a/core-1", 2, std::move(reply)}});
  for (const SiteRow& row : report.sites) {
    EXPECT_EQ(row.journal_bytes, 0u) << row.site;
    EXPECT_EQ(row.metadata_bytes, row.role == MEMBER_ROLE_PRIMARY ? 1010u : 0u) << row.site;
  }
  const auto json = report_json(report);
  EXPECT_EQ(json["members"][0]["metadata"], false);
  EXPECT_EQ(json["members"].back()["metadata"], true);
  EXPECT_EQ(json["sites"][0]["metadata_bytes"], 1010);
}

}  // namespace
}  // namespace shima
