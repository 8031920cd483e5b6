#include "coreserver/cluster/records.h"

#include <gtest/gtest.h>

#include "coreserver/cluster/volume_changes.h"
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
  volume.published_only = true;
  volume.publications = {sample_publication("node-1"), sample_publication("node-2", true)};
  volume.publications[0].id = 4;
  volume.publications[1].id = 2;
  volume.labels = {{"csi.shima.io/protocol", "fuse"}, {"note", ""}};
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

// What the next release may add, and this one must not lose when it changes the record.
TEST(Records, AFieldThatIsNotKnownIsKeptByAChange) {
  const std::string unknown =
      R"("later":{"number":"18446744073709551615","list":[1,2.5,null]},"quote\"d":"\u0001")";
  const std::string json =
      replaced(encode_volume(sample_volume()), "\"version\":1", "\"version\":1," + unknown);
  Result<VolumeInfo> volume = decode_volume(item("/shima/v1/volumes/db", json));
  ASSERT_TRUE(volume) << volume.status().to_string();
  EXPECT_EQ(volume->size_bytes, sample_volume().size_bytes);
  const VolumeInfo changed = with_quotas(*volume, 2ull << 30, std::nullopt).value();
  const std::string rewritten = encode_volume(changed);
  EXPECT_NE(rewritten.find(unknown), std::string::npos) << rewritten;
  const VolumeInfo back = decode_volume(item("/shima/v1/volumes/db", rewritten)).value();
  EXPECT_EQ(back.size_bytes, 2ull << 30);
  EXPECT_EQ(back.unknown_fields, unknown);
}

TEST(Records, AFieldThatIsNotKnownIsPassedOverWhereTheRecordsOwnerWritesItAnew) {
  const auto later = [](const std::string& json) {
    return replaced(json, "\"version\":1", "\"version\":1,\"later\":true");
  };
  EXPECT_TRUE(decode_server(
      item(server_key("site-a/core-0"), later(encode_server(sample_server(1, "site-a/core-0"))))));
  EXPECT_TRUE(decode_site(item(site_key("site-a"), later(encode_site({"site-a", {}, {}, {}})))));
  EXPECT_TRUE(
      decode_alive(item(alive_key("site-a/core-0"), later(encode_alive({ServerId(1), Incarnation(1)})))));
  EXPECT_TRUE(
      decode_access(item(access_key("site-a/access-0"), later(encode_access({"site-a/access-0", 8, {}})))));
  EXPECT_EQ(decode_counter(item(counter_key("x"), later(encode_counter(41)))).status().code(),
            Code::kCorrupt);
}

// Once members were added or taken away, nobody could tell whose the field was.
TEST(Records, ANestedFieldThatIsNotKnownIsRefusedBecauseAChangeWouldDropIt) {
  const std::string json =
      replaced(encode_volume(sample_volume()), "\"server_id\":\"1\"", "\"later\":1,\"server_id\":\"1\"");
  const Status refused = decode_volume(item("/shima/v1/volumes/db", json)).status();
  EXPECT_EQ(refused.code(), Code::kCorrupt);
  EXPECT_NE(refused.message().find("later"), std::string::npos) << refused.message();
  EXPECT_NE(refused.message().find("upgrade"), std::string::npos) << refused.message();
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

TEST(Records, PublicationsThatCannotBeAreRefused) {
  auto code_of = [](const VolumeInfo& v) {
    return decode_volume(item("/shima/v1/volumes/db", encode_volume(v))).status().code();
  };
  VolumeInfo good = sample_volume();
  good.published_only = true;
  good.publications = {sample_publication("node-1"), sample_publication("node-2")};
  good.publications[0].id = 1;
  good.publications[1].id = 3;
  EXPECT_EQ(code_of(good), Code::kOk);
  auto bad = [&](auto spoil) {
    VolumeInfo v = good;
    spoil(v);
    return code_of(v);
  };
  EXPECT_EQ(bad([](auto& v) { v.published_only = false; }), Code::kCorrupt);
  EXPECT_EQ(bad([](auto& v) { v.publications[1].id = 0; }), Code::kCorrupt);
  EXPECT_EQ(bad([](auto& v) { v.publications[1].id = 1; }), Code::kCorrupt) << "an id twice";
  EXPECT_EQ(bad([](auto& v) { v.publications[1].id = v.config_version.value + 1; }), Code::kCorrupt);
  EXPECT_EQ(bad([](auto& v) { v.publications[1].node = "node-1"; }), Code::kCorrupt) << "a node twice";
  EXPECT_EQ(bad([](auto& v) { std::swap(v.publications[0], v.publications[1]); }), Code::kCorrupt);
  for (const std::string& node : {std::string(), std::string("-a"), std::string("a b"), std::string("a/b"),
                                  std::string("a\nb"), std::string(254, 'z')}) {
    EXPECT_EQ(bad([&](auto& v) { v.publications[1].node = node; }), Code::kCorrupt) << node;
  }
  EXPECT_EQ(bad([](auto& v) { v.publications[1].node = std::string(253, 'z'); }), Code::kOk);
  EXPECT_EQ(bad([](auto& v) { v.publications[1].site = "Site"; }), Code::kCorrupt);
  for (const char* address :
       {"", "host", "10.0.0.0/8", "10.0.0.1:5", "fd00::0005", "[fd00::5]", "010.0.0.1"}) {
    EXPECT_EQ(bad([&](auto& v) { v.publications[1].addresses = {address}; }), Code::kCorrupt) << address;
  }
  EXPECT_EQ(bad([](auto& v) { v.publications[1].addresses.assign(9, "10.0.0.1"); }), Code::kCorrupt);
  EXPECT_EQ(bad([](auto& v) {
              v.publications.clear();
              v.config_version = ConfigVersion(5000);
              for (uint64_t i = 0; i <= kMaxPublications; i++) {
                v.publications.push_back(sample_publication("n" + std::to_string(10000 + i)));
                v.publications.back().id = i + 1;
              }
            }),
            Code::kCorrupt);
}

TEST(Records, LabelsThatCannotBeAreRefused) {
  using Labels = std::map<std::string, std::string>;
  EXPECT_TRUE(check_labels({}).is_ok());
  EXPECT_TRUE(check_labels({{"a.b/c_d-9", std::string(256, '~')}, {std::string(63, 'k'), ""}}).is_ok());
  for (const std::string& key : {std::string(), std::string("A"), std::string("/a"), std::string("a b"),
                                 std::string("a\0", 2), std::string("\xc3\xbc"), std::string(64, 'k')}) {
    EXPECT_EQ(check_labels({{key, "v"}}).code(), Code::kInvalidArgument) << key;
  }
  for (const std::string& value :
       {std::string("a\nb"), std::string("\x7f"), std::string("\xc3\xbc"), std::string(257, 'v')}) {
    EXPECT_EQ(check_labels({{"k", value}}).code(), Code::kInvalidArgument) << value;
  }
  Labels many;
  for (int i = 0; i < 16; i++) many["k" + std::to_string(i)] = "v";
  EXPECT_TRUE(check_labels(many).is_ok());
  many["k16"] = "v";
  EXPECT_EQ(check_labels(many).code(), Code::kInvalidArgument);
}

TEST(Records, LabelsOfARecordAreByKeyEachOnce) {
  VolumeInfo volume = sample_volume();
  volume.labels = {{"a", "1"}, {"b", "2"}};
  const std::string json = encode_volume(volume);
  const std::string key = "/shima/v1/volumes/db";
  EXPECT_EQ(decode_volume(item(key, json)).value().labels, volume.labels);
  for (const std::string& other : {std::string("b"), std::string("c"), std::string("B")}) {
    const std::string changed = replaced(json, "{\"key\":\"a\"", "{\"key\":\"" + other + "\"");
    EXPECT_EQ(decode_volume(item(key, changed)).status().code(), Code::kCorrupt) << other;
  }
}

TEST(Records, TheLargestListOfPublicationsFitsEtcd) {
  VolumeInfo v = sample_volume();
  v.published_only = true;
  v.config_version = ConfigVersion(~0ull);
  for (uint64_t i = 0; i < kMaxPublications; i++) {
    PublicationInfo p = sample_publication(std::string(248, 'n') + std::to_string(10000 + i));
    p.id = ~0ull - i;
    p.site = std::string(63, 's');
    p.addresses.assign(kMaxPublicationAddresses, "2001:db8:1111:2222:3333:4444:5555:6666");
    v.publications.push_back(p);
  }
  const std::string json = encode_volume(v);
  EXPECT_LT(json.size(), 1'200'000u) << "etcd takes 1.5 MiB";
  EXPECT_EQ(decode_volume(item("/shima/v1/volumes/db", json)).value().publications, v.publications);
}

TEST(Records, ARegisteredAccessServerComesBackAsItWas) {
  const AccessInfo access{"site-a/access-0", 12, {}};
  const std::string json = encode_access(access);
  AccessInfo back = decode_access(item(access_key("site-a/access-0"), json)).value();
  EXPECT_EQ(back.name, access.name);
  EXPECT_EQ(back.incarnation, 12u);
  EXPECT_EQ(back.mod_revision, EtcdRevision(7));
  EXPECT_EQ(parse_key("/shima/v1/access/site-a/access-0").type, RecordType::kAccess);
  for (const std::string& bad :
       {replaced(json, "shima-access", "shima-alive"), replaced(json, "\"version\":1", "\"version\":2"),
        encode_access({"site-a/access-0", 0, {}}), encode_access({"site-a/access-1", 12, {}}),
        std::string("{}")}) {
    EXPECT_EQ(decode_access(item(access_key("site-a/access-0"), bad)).status().code(), Code::kCorrupt) << bad;
  }
  for (const char* bad : {"", "access-0", "site-a/access-", "site-a/core-0", "site-a/access-x",
                          "Site/access-0", "site-a/access-0/access-1", "site-a/access-12345678901"}) {
    EXPECT_FALSE(check_access_name(bad)) << bad;
  }
}

TEST(Records, AddressesAreWrittenInTheirUsualForm) {
  EXPECT_EQ(usual_form_of_address("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(usual_form_of_address("FD00:0:0::0005"), "fd00::5");
  EXPECT_EQ(usual_form_of_address("host"), std::nullopt);
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
