#include "coreserver/cluster/volume_changes.h"

#include <gtest/gtest.h>

#include "common/network/cidr.h"
#include "coreserver/cluster/site_rules.h"
#include "coreserver/cluster/volume_planning.h"
#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

using replication::Role;

TEST(VolumeChanges, ARestartNamesTheIncarnationInEveryGroup) {
  VolumeInfo before = sample_volume();
  VolumeInfo after = with_restart(before, ServerId(1), Incarnation(2)).value();
  for (const GroupInfo& g : after.groups) EXPECT_EQ(g.find(ServerId(1))->incarnation, Incarnation(2));
  EXPECT_EQ(after.groups[0].find(ServerId(2))->incarnation, Incarnation(1));
  EXPECT_EQ(after.config_version, before.config_version.next());
}

TEST(VolumeChanges, ARestartRaisesTheTermOnlyWhereTheServerIsPrimary) {
  VolumeInfo after = with_restart(sample_volume(), ServerId(1), Incarnation(2)).value();
  EXPECT_EQ(after.groups[0].term, Term(2));
  EXPECT_EQ(after.groups[1].term, Term(1));
  VolumeInfo remote = with_restart(sample_volume(), ServerId(3), Incarnation(2)).value();
  EXPECT_EQ(remote.groups[0].term, Term(1));
}

TEST(VolumeChanges, ARestartClaimsATermFarAboveALogThatEtcdDoesNotKnow) {
  const VolumeInfo before = sample_volume();  // server 1 is primary of group 0, secondary of group 1
  const LoggedTerms logged = {{{before.id, GroupIndex(0)}, Term(9)}, {{before.id, GroupIndex(1)}, Term(9)}};
  const VolumeInfo after = with_restart(before, ServerId(1), Incarnation(2), logged).value();
  EXPECT_EQ(after.groups[0].term, Term(9 + kTermsLostWithEtcd + 1));
  EXPECT_EQ(after.groups[1].term, Term(9 + kTermsLostWithEtcd)) << "before the primary gives one again";
  EXPECT_EQ(with_restart(after, ServerId(1), Incarnation(2), logged).value(), after);
}

TEST(VolumeChanges, ALogOfTheRecordsTermIsAsItShouldBe) {
  const VolumeInfo before = sample_volume();
  const LoggedTerms logged = {{{before.id, GroupIndex(0)}, Term(1)}, {{before.id, GroupIndex(1)}, Term(1)}};
  EXPECT_EQ(with_restart(before, ServerId(1), Incarnation(2), logged).value(),
            with_restart(before, ServerId(1), Incarnation(2)).value());
}

TEST(VolumeChanges, ARestartThatIsNamedAlreadyChangesNothing) {
  VolumeInfo once = with_restart(sample_volume(), ServerId(1), Incarnation(2)).value();
  EXPECT_EQ(with_restart(once, ServerId(1), Incarnation(2)).value(), once);
  EXPECT_EQ(with_restart(once, ServerId(99), Incarnation(2)).value(), once);
}

TEST(VolumeChanges, AnOlderIncarnationIsFenced) {
  VolumeInfo newer = with_restart(sample_volume(), ServerId(1), Incarnation(3)).value();
  EXPECT_EQ(with_restart(newer, ServerId(1), Incarnation(2)).status().code(), Code::kStaleTerm);
}

TEST(VolumeChanges, MembershipChangesOneRemoteOfOneGroup) {
  VolumeInfo before = sample_volume();
  VolumeInfo after =
      with_membership(before, GroupIndex(1), Term(1), before.config_version, ServerId(3), false, true)
          .value();
  EXPECT_FALSE(after.groups[1].find(ServerId(3))->whole);
  EXPECT_TRUE(after.groups[0].find(ServerId(3))->whole);
  EXPECT_EQ(after.config_version, before.config_version.next());
  EXPECT_EQ(after.groups[1].term, Term(1));
  VolumeInfo again =
      with_membership(after, GroupIndex(1), Term(1), after.config_version, ServerId(3), false, true).value();
  EXPECT_EQ(again.config_version, after.config_version.next()) << "older proposals must die";
}

TEST(VolumeChanges, GroupsThatLoseTheSameSiteAreServedByOneChange) {
  const VolumeInfo before = sample_volume();
  const ConfigVersion version = before.config_version;
  std::vector<MembershipChange> changes;
  for (const GroupInfo& g : before.groups)
    changes.push_back({g.index, g.term, version, ServerId(3), true, false});
  changes[0].term = Term(77);
  const VolumeInfo after = with_memberships(before, changes).value();
  EXPECT_EQ(after.config_version, version.next());
  ASSERT_GT(after.groups.size(), 1u);
  for (const GroupInfo& g : after.groups)
    EXPECT_EQ(g.find(ServerId(3))->in_sync, g.index == GroupIndex(0)) << g.index.value;
  EXPECT_EQ(with_memberships(before, {changes[0]}).status().code(), Code::kStaleTerm);
  EXPECT_EQ(with_memberships(after, changes).status().code(), Code::kStaleTerm)
      << "all are of the old record";
  EXPECT_FALSE(with_memberships(before, {}));
}

TEST(VolumeChanges, MembershipOnAnotherVersionOfTheRecordIsStale) {
  VolumeInfo volume = sample_volume();
  EXPECT_EQ(
      with_membership(volume, GroupIndex(0), Term(1), volume.config_version.next(), ServerId(3), false, true)
          .status()
          .code(),
      Code::kStaleTerm);
}

TEST(VolumeChanges, MembershipOfAnotherTermIsStale) {
  EXPECT_EQ(with_membership(sample_volume(), GroupIndex(0), Term(2), sample_volume().config_version,
                            ServerId(3), false, true)
                .status()
                .code(),
            Code::kStaleTerm);
}

TEST(VolumeChanges, OnlyRemotesLeaveTheWholeSet) {
  for (ServerId server : {ServerId(1), ServerId(2), ServerId(77)}) {
    EXPECT_EQ(with_membership(sample_volume(), GroupIndex(0), Term(1), sample_volume().config_version, server,
                              false, true)
                  .status()
                  .code(),
              Code::kInvalidArgument);
  }
  EXPECT_EQ(with_membership(sample_volume(), GroupIndex(9), Term(1), sample_volume().config_version,
                            ServerId(3), false, true)
                .status()
                .code(),
            Code::kInvalidArgument);
}

TEST(VolumeChanges, AVolumeGrowsAndDoesNotShrink) {
  VolumeInfo v = sample_volume();
  EXPECT_EQ(with_quotas(v, v.size_bytes + 1)->size_bytes, v.size_bytes + 1);
  EXPECT_EQ(with_quotas(v, v.size_bytes - 1).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(with_quotas(v, v.size_bytes)->config_version, v.config_version);
}

TEST(VolumeChanges, QuotasChangeEachForItself) {
  VolumeInfo v = sample_volume();
  VolumeInfo next = with_quotas(v, 0, 500).value();
  EXPECT_EQ(next.size_bytes, v.size_bytes);
  EXPECT_EQ(next.max_inodes, 500u);
  EXPECT_EQ(next.config_version, v.config_version.next());
  EXPECT_EQ(with_quotas(next, 0)->config_version, next.config_version) << "nothing to change";
  EXPECT_EQ(with_quotas(next, 0, 500)->config_version, next.config_version);
  EXPECT_EQ(with_quotas(next, 0, 100)->max_inodes, 100u) << "this one may get smaller";
  EXPECT_EQ(with_quotas(next, next.size_bytes + 1, 0)->max_inodes, 0u);
}

TEST(VolumeChanges, APublicationIsNamedByTheVersionThatMadeIt) {
  VolumeInfo v = sample_volume();
  EXPECT_EQ(with_publication(v, sample_publication("n1")).status().code(), Code::kFailedPrecondition);
  v.published_only = true;
  VolumeInfo two = with_publication(v, sample_publication("n2")).value();
  two = with_publication(two, sample_publication("n1", true)).value();
  ASSERT_EQ(two.publications.size(), 2u);
  EXPECT_EQ(two.publications[0].node, "n1") << "by node";
  EXPECT_EQ(two.publication_of("n2")->id, v.config_version.value + 1);
  EXPECT_EQ(two.publication_of("n1")->id, v.config_version.value + 2);
  EXPECT_EQ(two.config_version.value, v.config_version.value + 2);
}

TEST(VolumeChanges, TheSamePublicationAgainIsTheOneThatThereIs) {
  VolumeInfo v = sample_volume();
  v.published_only = true;
  v = with_publication(v, sample_publication("n1")).value();
  PublicationInfo again = sample_publication("n1");
  again.since_ms += 5;
  EXPECT_EQ(with_publication(v, again).value(), v);
  EXPECT_EQ(with_publication(v, sample_publication("n1", true)).status().code(), Code::kAlreadyExists);
  again.addresses = {"10.1.0.9"};
  again.site = "site-c";
  VolumeInfo moved = with_publication(v, again).value();
  EXPECT_EQ(moved.publications[0].id, v.publications[0].id) << "its mounts stay what they are";
  EXPECT_EQ(moved.publications[0].addresses, again.addresses);
  EXPECT_EQ(moved.publications[0].site, "site-c");
  EXPECT_EQ(moved.config_version, v.config_version.next());
}

TEST(VolumeChanges, APublicationMadeAnewIsAnotherOne) {
  VolumeInfo v = sample_volume();
  v.published_only = true;
  v = with_publication(v, sample_publication("n1")).value();
  v = with_publication(v, sample_publication("n2")).value();
  const uint64_t first = v.publication_of("n1")->id;
  v = without_publication(v, "n1").value();
  EXPECT_EQ(v.publication_of("n1"), nullptr);
  EXPECT_NE(v.publication_of("n2"), nullptr);
  EXPECT_EQ(without_publication(v, "n1").value(), v) << "nothing to take away";
  v = with_publication(v, sample_publication("n1")).value();
  EXPECT_GT(v.publication_of("n1")->id, first);
  EXPECT_TRUE(without_publication(v, "")->publications.empty()) << "all nodes";
}

TEST(VolumeChanges, PublicationsHaveLimitsAndRules) {
  VolumeInfo v = sample_volume();
  v.published_only = true;
  PublicationInfo bad = sample_publication("n1");
  bad.addresses = {"some.host"};
  EXPECT_EQ(with_publication(v, bad).status().code(), Code::kInvalidArgument);
  for (size_t i = 0; i < kMaxPublications; i++)
    v = with_publication(v, sample_publication("n" + std::to_string(i))).value();
  EXPECT_EQ(with_publication(v, sample_publication("one-more")).status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(with_publication(v, sample_publication("n7")));
  v = without_publication(v, "n7").value();
  EXPECT_TRUE(with_publication(v, sample_publication("one-more")));
  v = with_deleting(v, true).value();
  EXPECT_EQ(with_publication(v, sample_publication("n7")).status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(without_publication(v, "n8")) << "also while it is being deleted";
}

TEST(VolumeChanges, WhatIsPublishedIsDeletedOnlyByForce) {
  VolumeInfo v = sample_volume();
  v.published_only = true;
  v.labels = {{"csi.storage.k8s.io/pvc/name", "data"}, {"csi.storage.k8s.io/pvc/namespace", "shop"}};
  for (int node = 10; node < 22; ++node)
    v = with_publication(v, sample_publication("n" + std::to_string(node))).value();
  const Status refused = with_deleting(v, false).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("volume db (claim shop/data) is published at n10, n11, "),
            std::string::npos)
      << refused.message();
  EXPECT_NE(refused.message().find("n19 and 2 more"), std::string::npos) << refused.message();
  const VolumeInfo forced = with_deleting(v, true).value();
  EXPECT_TRUE(forced.deleting);
  EXPECT_EQ(with_deleting(forced, false).value(), forced) << "asked again: it is made";
  EXPECT_TRUE(with_deleting(without_publication(v, "").value(), false));
}

TEST(VolumeChanges, ADeletionEndsWhenEveryMemberHasDropped) {
  VolumeInfo v = sample_volume();
  EXPECT_EQ(with_dropped(v, ServerId(1)).status().code(), Code::kFailedPrecondition);
  v = with_deleting(v, false).value();
  EXPECT_EQ(with_quotas(v, v.size_bytes + 1).status().code(), Code::kFailedPrecondition);
  for (uint64_t id : {4, 1, 3}) v = with_dropped(v, ServerId(id)).value();
  EXPECT_FALSE(everyone_dropped(v));
  v = with_dropped(v, ServerId(2)).value();
  EXPECT_TRUE(everyone_dropped(v));
}

TEST(VolumeChanges, TheReplicaGroupSeesTheRecord) {
  VolumeInfo v = sample_volume();
  replication::GroupConfig c = group_config_of(v, GroupIndex(1));
  EXPECT_EQ(c.term, Term(1));
  EXPECT_EQ(c.version, v.config_version);
  EXPECT_EQ(c.role_of(ServerId(2)), Role::kPrimary);
  EXPECT_EQ(c.members.size(), 4u);
}

TEST(VolumePlanning, DefaultsToThreeCopiesAndTheFirstSiteThatCanBeAHome) {
  ClusterState state = sample_state();
  state.servers[ServerId(2)].alive = false;  // site-a has one failure domain left
  VolumeSpec spec;
  spec.name = "db";
  VolumeInfo v = plan_volume(state, spec).value();
  EXPECT_EQ(v.home, "site-b");
  EXPECT_EQ(v.sites.size(), 3u);
  EXPECT_EQ(v.sites.front(), "site-b");
  EXPECT_EQ(v.data_groups(), kDefaultGroups);
  EXPECT_EQ(v.groups.size(), kDefaultGroups + 1);
  EXPECT_TRUE(v.groups.back().metadata);
  EXPECT_FALSE(v.groups.front().metadata);
  EXPECT_TRUE(group_config_of(v, v.groups.back().index).full_secondary);
  EXPECT_FALSE(group_config_of(v, v.groups.front().index).full_secondary);
  for (const GroupInfo& g : v.groups) {
    EXPECT_EQ(g.members.size(), 4u);
    EXPECT_EQ(g.members[0].role, Role::kPrimary);
    EXPECT_EQ(g.members[0].incarnation, Incarnation(1));
    EXPECT_EQ(g.find(ServerId(2)), nullptr);
  }
}

TEST(VolumePlanning, RefusesWhatCannotBe) {
  auto code_of = [](VolumeSpec spec) {
    if (spec.name.empty()) spec.name = "db";
    return plan_volume(sample_state(), spec).status().code();
  };
  EXPECT_EQ(code_of({.name = "Bad Name"}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.copies = 4}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.sites = {"site-x"}}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.sites = {"site-a", "site-b"}, .home = "site-c"}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.block_size = 100000}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.groups = 0}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.groups = 1025}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({.groups = 1024}), Code::kOk);
  EXPECT_EQ(code_of({.labels = {{"Team", "green"}}}), Code::kInvalidArgument);
  EXPECT_EQ(plan_volume(sample_state(), {.name = "db", .labels = {{"team", "green"}}})->labels.at("team"),
            "green");
  EXPECT_EQ(code_of({.sites = {"site-c", "site-a"}}), Code::kOk);
  EXPECT_EQ(plan_volume(ClusterState(), {.name = "db"}).status().code(), Code::kFailedPrecondition);
}

TEST(Cidr, HoldsItsAddressesInBothFamilies) {
  EXPECT_TRUE(parse_cidr("10.1.0.0/16")->contains(*parse_ip("10.1.255.9")));
  EXPECT_FALSE(parse_cidr("10.1.0.0/16")->contains(*parse_ip("10.2.0.1")));
  EXPECT_TRUE(parse_cidr("fd00:1::/32")->contains(*parse_ip("fd00:1:2::3")));
  EXPECT_FALSE(parse_cidr("fd00:1::/32")->contains(*parse_ip("10.1.0.1")));
  EXPECT_TRUE(parse_cidr("0.0.0.0/0")->contains(*parse_ip("1.2.3.4")));
  EXPECT_TRUE(parse_cidr("10.0.0.0/8")->overlaps(*parse_cidr("10.3.0.0/16")));
  EXPECT_FALSE(parse_cidr("10.1.0.0/16")->overlaps(*parse_cidr("10.3.0.0/16")));
  for (const char* bad :
       {"10.0.0.0", "10.0.0.0/33", "10.0.0.1/8", "host/8", "10.0.0.0/", "::/129", "10.0.0.0/-1"}) {
    EXPECT_FALSE(parse_cidr(bad)) << bad;
  }
}

TEST(SiteRules, AServersAddressesMustBeItsSites) {
  std::map<std::string, SiteInfo> sites = {
      {"a", {"a", {}, {"10.1.0.0/16"}, {}}}, {"b", {"b", {}, {"10.2.0.0/16"}, {}}}, {"c", {"c", {}, {}, {}}}};
  auto judge = [&](const char* site, const char* address) {
    ServerNetworks n{{address, 1}, {address, 1}, {"192.0.2.1", 1}, {address, 1}};
    return check_server_addresses(site, n, sites);
  };
  EXPECT_TRUE(judge("a", "10.1.2.3"));
  EXPECT_TRUE(judge("c", "10.9.0.1"));
  EXPECT_TRUE(judge("a", "core-0.example"));
  Status other = judge("c", "10.2.0.1");
  EXPECT_EQ(other.code(), Code::kFailedPrecondition);
  EXPECT_NE(other.message().find("site b"), std::string::npos) << other.message();
  Status none = judge("a", "10.9.0.1");
  EXPECT_EQ(none.code(), Code::kFailedPrecondition);
  EXPECT_NE(none.message().find("10.1.0.0/16"), std::string::npos) << none.message();
}

TEST(SiteRules, SubnetsOfSitesDoNotOverlap) {
  std::map<std::string, SiteInfo> sites = {{"a", {"a", {}, {"10.1.0.0/16"}, {}}}};
  EXPECT_FALSE(check_new_site({"b", {}, {"10.0.0.0/8"}, {}}, sites));
  EXPECT_TRUE(check_new_site({"b", {}, {"10.2.0.0/16"}, {}}, sites));
  EXPECT_FALSE(check_new_site({"b", {}, {"10.2.0.0"}, {}}, sites));
}

}  // namespace
}  // namespace shima
