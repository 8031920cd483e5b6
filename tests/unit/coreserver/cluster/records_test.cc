#include "coreserver/cluster/records.h"

#include <gtest/gtest.h>

#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

EtcdKeyValue item(std::string key, std::string value) {
  return {std::move(key), std::move(value), EtcdRevision(7), {}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Records, AVolumeComesBackAsItWas) {
  VolumeInfo volume = sample_volume();
  volume.deleting = true;
  volume.dropped_by = {ServerId(2)};
  volume.groups[0].members[2].whole = false;
  volume.groups.back().metadata = true;
  volume.max_inodes = 1000;
  VolumeInfo back = decode_volume(item("/shima/v1/volumes/db", encode_volume(volume))).value();
  EXPECT_EQ(back.mod_revision, EtcdRevision(7));
  back.mod_revision = volume.mod_revision;
  EXPECT_EQ(back, volume);
}

TEST(Records, SitesServersAndCountersComeBackAsTheyWere) {
  SiteInfo site{"site-a", {{"zone", "z1"}}, {"10.1.0.0/16", "fd00::/64"}, EtcdRevision(7)};
  EXPECT_EQ(decode_site(item(site_key("site-a"), encode_site(site))).value(), site);
  ServerInfo server = sample_server(3, "site-a/core-2");
  server.alive = false;
  server.mod_revision = EtcdRevision(7);
  EXPECT_EQ(decode_server(item(server_key("site-a/core-2"), encode_server(server))).value(), server);
  EXPECT_EQ(decode_counter(item(counter_key("x"), encode_counter(41))).value(), 41u);
  AliveInfo alive =
      decode_alive(item(alive_key("site-a/core-2"), encode_alive({ServerId(3), Incarnation(9)}))).value();
  EXPECT_EQ(alive.incarnation, Incarnation(9));
}

TEST(Records, MagicAndVersionComeFirstSoThatPeopleSeeThem) {
  EXPECT_TRUE(encode_volume(sample_volume()).starts_with("{\"magic\":\"shima-volume\",\"version\":1,"));
  EXPECT_NE(encode_volume(sample_volume()).find("\"config_version\""), std::string::npos);
}

TEST(Records, AnotherMagicOrANewerVersionIsRefusedWithTheKeyAndWhatToDo) {
  std::string json = encode_volume(sample_volume());
  for (std::string bad :
       {replaced(json, "shima-volume", "shima-site"), replaced(json, "\"version\":1", "\"version\":2"),
        replaced(json, "\"version\":1", "\"version\":0"), std::string("{}"), std::string("not json"),
        // A newer version is called newer even when it has fields that are not known here.
        replaced(json, "\"version\":1", "\"version\":2,\"later\":true")}) {
    Status s = decode_volume(item("/shima/v1/volumes/db", bad)).status();
    EXPECT_EQ(s.code(), Code::kCorrupt) << bad;
    EXPECT_NE(s.message().find("/shima/v1/volumes/db"), std::string::npos);
    EXPECT_NE(s.message().find("upgrade"), std::string::npos);
  }
  std::string later = replaced(json, "\"version\":1", "\"version\":2,\"later\":true");
  EXPECT_NE(decode_volume(item("/shima/v1/volumes/db", later)).status().message().find("version 2"),
            std::string::npos);
}

TEST(Records, AFieldThatIsNotKnownIsRefusedBecauseAChangeWouldDropIt) {
  std::string json =
      replaced(encode_volume(sample_volume()), "\"version\":1", "\"version\":1,\"later\":true");
  EXPECT_EQ(decode_volume(item("/shima/v1/volumes/db", json)).status().code(), Code::kCorrupt);
}

TEST(Records, ContentThatCannotBeIsRefused) {
  auto code_of = [](const VolumeInfo& v) {
    return decode_volume(item("/shima/v1/volumes/db", encode_volume(v))).status().code();
  };
  VolumeInfo v = sample_volume();
  EXPECT_EQ(code_of(v), Code::kOk);
  v.block_size = 3u << 16;
  EXPECT_EQ(code_of(v), Code::kCorrupt);
  v = sample_volume();
  v.name = "other";
  EXPECT_EQ(code_of(v), Code::kCorrupt);
  v = sample_volume();
  v.groups[1].index = GroupIndex(5);
  EXPECT_EQ(code_of(v), Code::kCorrupt);
  v = sample_volume();
  v.groups[0].members[1].server = v.groups[0].members[0].server;
  EXPECT_EQ(code_of(v), Code::kCorrupt);
  v = sample_volume();
  v.groups[0].term = Term();
  EXPECT_EQ(code_of(v), Code::kCorrupt);
  v = sample_volume();
  v.groups[0].metadata = true;
  EXPECT_EQ(code_of(v), Code::kCorrupt);
  v = sample_volume();
  v.home = "site-b";
  EXPECT_EQ(code_of(v), Code::kCorrupt);
}

TEST(Records, NamesFollowTheRules) {
  for (const char* good : {"a", "0", "db.prod-1", "a-"}) EXPECT_TRUE(check_volume_name(good)) << good;
  for (const char* bad : {"", "-a", ".a", "A", "a_b", "a/b", "ä"})
    EXPECT_FALSE(check_volume_name(bad)) << bad;
  EXPECT_TRUE(check_volume_name(std::string(63, 'a')));
  EXPECT_FALSE(check_volume_name(std::string(64, 'a')));
  EXPECT_TRUE(check_site_name("site-a"));
  EXPECT_FALSE(check_site_name("site.a"));
  EXPECT_TRUE(check_server_name("site-a/core-12", "site-a"));
  for (const char* bad : {"site-a/core-", "site-a/core-x", "site-b/core-1", "core-1"}) {
    EXPECT_FALSE(check_server_name(bad, "site-a")) << bad;
  }
}

TEST(Records, KeysSayWhatTheyAre) {
  EXPECT_EQ(parse_key("/shima/v1/alive/site-a/core-0").name, "site-a/core-0");
  EXPECT_EQ(parse_key("/shima/v1/volumes/db").type, RecordType::kVolume);
  EXPECT_EQ(parse_key("/shima/v1/later/x").type, RecordType::kOther);
  EXPECT_EQ(parse_key("/shima/v2/volumes/x").type, RecordType::kOther);
}

}  // namespace
}  // namespace shima
