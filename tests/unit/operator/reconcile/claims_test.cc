#include "operator/reconcile/claims.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

Claimant claimant(const std::string& name_space, const std::string& uid, const std::string& created,
                  std::vector<std::string> nodes, bool csi = false) {
  return {.name_space = name_space,
          .name = "c",
          .uid = uid,
          .created = created,
          .nodes = std::move(nodes),
          .csi = csi};
}

const Claimant kOld = claimant("one", "u2", "2026-01-01T00:00:00Z", {"n1", "n2"});
const Claimant kYoung = claimant("two", "u1", "2026-01-02T00:00:00Z", {"n2", "n3"});

TEST(Claims, TheOlderOneHasTheNodesThatBothAskFor) {
  EXPECT_TRUE(claimed_by_others(kOld, {kOld, kYoung}).empty());
  const auto told = claimed_by_others(kYoung, {kOld, kYoung});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("one/c"), std::string::npos) << told[0];
  EXPECT_NE(told[0].find("n2"), std::string::npos) << told[0];
  EXPECT_EQ(told[0].find("n3"), std::string::npos) << told[0];
}

TEST(Claims, OfTheSameAgeTheLesserUidDecides) {
  Claimant same = kYoung;
  same.created = kOld.created;
  EXPECT_TRUE(claimed_by_others(same, {kOld, same}).empty());
  EXPECT_EQ(claimed_by_others(kOld, {kOld, same}).size(), 1u);
}

TEST(Claims, OneNamespaceHasOneCluster) {
  const Claimant neighbour = claimant("one", "u9", "2026-02-01T00:00:00Z", {});
  const auto told = claimed_by_others(neighbour, {kOld, neighbour});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("same namespace"), std::string::npos) << told[0];
}

TEST(Claims, ThereIsOneCsiDriver) {
  Claimant old = kOld, young = claimant("two", "u1", "2026-01-02T00:00:00Z", {"n9"}, true);
  EXPECT_TRUE(claimed_by_others(young, {old, young}).empty());
  old.csi = true;
  const auto told = claimed_by_others(young, {old, young});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("spec.csi.enabled"), std::string::npos) << told[0];
}

Claimant with_etcd(const std::string& name_space, const std::string& created,
                   const std::vector<std::string>& endpoints) {
  nlohmann::json spec = {{"coreServers", {{"disks", {{{"claim", {{"size", "10Gi"}}}}}}}},
                         {"csi", {{"enabled", false}}}};
  if (endpoints.empty()) {
    spec["etcd"]["data"] = {{"claim", {{"size", "1Gi"}}}};
  } else {
    spec["etcd"]["endpoints"] = endpoints;
  }
  ClaimReader reader;
  return reader.claimant_of({{"metadata",
                              {{"name", "c"},
                               {"namespace", name_space},
                               {"uid", "uid-" + name_space},
                               {"creationTimestamp", created}}},
                             {"spec", spec}},
                            {}, {});
}

TEST(Claims, AnEtcdHasTheRecordsOfOneCluster) {
  const Claimant old = with_etcd("one", "2026-01-01T00:00:00Z", {"etcd-0.example.com:2379", "10.0.0.5:2379"});
  const Claimant young =
      with_etcd("two", "2026-01-02T00:00:00Z", {"10.0.0.6:2379", "ETCD-0.example.com.:2379"});
  EXPECT_TRUE(claimed_by_others(old, {old, young}).empty());
  const auto told = claimed_by_others(young, {old, young});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("one/c is older and has its records in the same etcd, etcd-0.example.com:2379"),
            std::string::npos)
      << told[0];
  for (const char* another : {"10.0.0.6:2379", "10.0.0.5:2378", "etcd-0.example.com:12379"})
    EXPECT_TRUE(claimed_by_others(with_etcd("two", "2026-01-02", {another}), {old}).empty()) << another;
}

TEST(Claims, AnEtcdIsTheSameHoweverItsEndpointIsWritten) {
  const std::vector<std::vector<std::string>> same{
      {"etcd:2379", "etcd.one:2379", "etcd.one.svc:2379", "Etcd.one.svc.cluster.local.:02379"},
      {"[fd00::5]:2379", "[FD00:0:0:0::0005]:2379"}};
  for (const auto& forms : same)
    for (const std::string& form : forms)
      EXPECT_EQ(claimed_by_others(with_etcd("two", "2026-01-02", {forms.back()}),
                                  {with_etcd("one", "2026-01-01", {form})})
                    .size(),
                1u)
          << form;
  EXPECT_TRUE(claimed_by_others(with_etcd("two", "2026-01-02", {"etcd:2379"}),
                                {with_etcd("one", "2026-01-01", {"etcd:2379"})})
                  .empty())
      << "names without a namespace are looked up in the own one";
}

TEST(Claims, TheOwnEtcdOfAClusterIsNotAnothersToo) {
  const Claimant own = with_etcd("one", "2026-01-01", {});
  const std::string member = "shima-etcd-a-0.shima-etcd-a.one.svc:2379";
  EXPECT_EQ(claimed_by_others(with_etcd("two", "2026-01-02", {member}), {own}).size(), 1u);
  EXPECT_EQ(claimed_by_others(own, {with_etcd("two", "2025-01-01", {member})}).size(), 1u);
  EXPECT_TRUE(claimed_by_others(with_etcd("two", "2026-01-02", {"etcd.one.svc:2379"}), {own}).empty());
  EXPECT_TRUE(claimed_by_others(with_etcd("two", "2026-01-02", {}), {own}).empty());
}

TEST(Claims, ClustersThatShareNothingDoNotMeet) {
  const Claimant other = claimant("two", "u1", "2026-01-02T00:00:00Z", {"n3"});
  EXPECT_TRUE(claimed_by_others(other, {kOld, other}).empty());
}

nlohmann::json cluster(nlohmann::json spec) {
  return {{"metadata", {{"name", "c"}, {"namespace", "one"}, {"uid", "u"}, {"creationTimestamp", "2026"}}},
          {"spec", std::move(spec)}};
}

nlohmann::json readable_spec() {
  return {{"coreServers", {{"disks", {{{"claim", {{"size", "10Gi"}}}}}}}},
          {"etcd", {{"data", {{"claim", {{"size", "1Gi"}}}}}}}};
}

const std::vector<NodeView> kNode{{.name = "n1", .labels = {{"topology.kubernetes.io/zone", "a"}}}};

TEST(Claims, ASpecThatCannotBeReadAnyMoreClaimsWhatTheLastOneDid) {
  ClaimReader reader;
  const Claimant before = reader.claimant_of(cluster(readable_spec()), kNode, {});
  ASSERT_EQ(before.nodes, std::vector<std::string>{"n1"});
  const Claimant after = reader.claimant_of(cluster({{"coreServers", 3}}), kNode, {});
  EXPECT_EQ(after.nodes, before.nodes);
  EXPECT_EQ(after.csi, before.csi);
  EXPECT_FALSE(after.claims_all);
}

TEST(Claims, WithoutAnyReadableSpecTheOlderOneClaimsEverything) {
  ClaimReader reader;
  const Claimant unreadable = reader.claimant_of(cluster({{"coreServers", 3}}), kNode, {});
  EXPECT_EQ(unreadable.uid, "u");
  const Claimant young = claimant("two", "u9", "2026-02-01T00:00:00Z", {"n3"});
  const auto told = claimed_by_others(young, {unreadable, young});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("one/c is older, and its spec cannot be read"), std::string::npos) << told[0];
  EXPECT_TRUE(claimed_by_others(unreadable, {unreadable, young}).empty());
}

TEST(Claims, WhatIsRememberedOfAClusterGoesWithIt) {
  ClaimReader reader;
  reader.claimant_of(cluster(readable_spec()), kNode, {});
  reader.keep_only({"u"});
  EXPECT_FALSE(reader.claimant_of(cluster({{"coreServers", 3}}), kNode, {}).claims_all);
  reader.keep_only({});
  EXPECT_TRUE(reader.claimant_of(cluster({{"coreServers", 3}}), kNode, {}).claims_all);
}

TEST(NodesOfOthers, AreThoseOfOlderClustersThatAreNotRefused) {
  EXPECT_TRUE(nodes_of_others(kOld, {kOld, kYoung}).empty()) << "a younger one has nothing";
  EXPECT_EQ(nodes_of_others(kYoung, {kOld, kYoung}), (std::set<std::string>{"n1", "n2"}));
  const Claimant youngest = claimant("three", "u3", "2026-01-03T00:00:00Z", {"n3", "n4"});
  EXPECT_EQ(nodes_of_others(youngest, {kOld, kYoung, youngest}), (std::set<std::string>{"n1", "n2"}))
      << "one that is refused has nothing either";
}

}  // namespace
}  // namespace shima
