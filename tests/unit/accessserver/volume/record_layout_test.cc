#include "accessserver/volume/record_layout.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

// A volume of two data groups and a metadata group on servers 1 and 2.
volume::v1::GetVolumeReply a_reply() {
  volume::v1::GetVolumeReply reply;
  auto& record = *reply.mutable_record();
  record.set_name("db");
  record.set_volume_id(77);
  record.set_life(3);
  record.set_home("here");
  record.set_block_size(1 << 20);
  record.set_max_inodes(1000);
  record.set_config_version(4);
  for (uint32_t i = 0; i < 3; i++) {
    auto& group = *record.add_groups();
    group.set_index(i);
    group.set_term(10 + i);
    group.set_metadata(i == 2);
    for (uint64_t server : {1, 2}) {
      auto& member = *group.add_members();
      member.set_server_id(server);
      member.set_site("here");
      member.set_role(server == 1 ? cluster::v1::MEMBER_ROLE_SECONDARY : cluster::v1::MEMBER_ROLE_PRIMARY);
    }
  }
  for (uint64_t id : {1, 2}) {
    auto& server = *reply.add_servers();
    server.set_server_id(id);
    server.set_name("here/core-" + std::to_string(id));
    server.mutable_networks()->mutable_client()->set_address("10.0.0.1");
    server.mutable_networks()->mutable_client()->set_port(7000 + static_cast<uint32_t>(id));
  }
  return reply;
}

TEST(RecordLayout, TheMetadataGroupIsApartFromTheDataGroups) {
  auto layout = layout_of_record("db", a_reply());
  ASSERT_TRUE(layout.is_ok()) << layout.status().to_string();
  ASSERT_EQ(layout->groups.size(), 2u);
  EXPECT_EQ(layout->groups[1].term, Term(11));
  ASSERT_TRUE(layout->has_metadata);
  EXPECT_EQ(layout->metadata.term, Term(12));
  ASSERT_EQ(layout->metadata.members.size(), 2u);
  EXPECT_EQ(layout->metadata.members[0].server, ServerId(2));  // the primary first
  EXPECT_EQ(layout->metadata.members[0].kind, MemberKind::kPrimary);
  EXPECT_EQ(layout->metadata.members[0].port, 7002);
  EXPECT_EQ(layout->max_inodes, 1000u);
  EXPECT_EQ(layout->life, 3u);
}

TEST(RecordLayout, AVolumeMadeBeforeThereWereFilesHasNone) {
  auto reply = a_reply();
  reply.mutable_record()->mutable_groups()->RemoveLast();
  auto layout = layout_of_record("db", reply);
  ASSERT_TRUE(layout.is_ok()) << layout.status().to_string();
  EXPECT_EQ(layout->groups.size(), 2u);
  EXPECT_FALSE(layout->has_metadata);
  EXPECT_TRUE(layout->metadata.members.empty());
}

TEST(RecordLayout, RecordsThatCannotBeAreRefused) {
  auto in_the_middle = a_reply();
  in_the_middle.mutable_record()->mutable_groups(1)->set_metadata(true);
  EXPECT_EQ(layout_of_record("db", in_the_middle).status().code(), Code::kCorrupt);
  auto nothing_else = a_reply();
  nothing_else.mutable_record()->mutable_groups()->DeleteSubrange(0, 2);
  nothing_else.mutable_record()->mutable_groups(0)->set_index(0);
  EXPECT_EQ(layout_of_record("db", nothing_else).status().code(), Code::kCorrupt);
  auto nobody = a_reply();
  nobody.mutable_record()->mutable_groups(2)->clear_members();
  EXPECT_EQ(layout_of_record("db", nobody).status().code(), Code::kCorrupt);
  auto misnumbered = a_reply();
  misnumbered.mutable_record()->mutable_groups(2)->set_index(5);
  EXPECT_EQ(layout_of_record("db", misnumbered).status().code(), Code::kCorrupt);
  auto no_power_of_two = a_reply();
  no_power_of_two.mutable_record()->set_block_size(3 << 20);
  EXPECT_EQ(layout_of_record("db", no_power_of_two).status().code(), Code::kCorrupt);
  auto deleted = a_reply();
  deleted.mutable_record()->set_deleting(true);
  EXPECT_EQ(layout_of_record("db", deleted).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace shima
