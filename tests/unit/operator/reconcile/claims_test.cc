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

TEST(Claims, ClustersThatShareNothingDoNotMeet) {
  const Claimant other = claimant("two", "u1", "2026-01-02T00:00:00Z", {"n3"});
  EXPECT_TRUE(claimed_by_others(other, {kOld, other}).empty());
}

TEST(Claims, ASpecThatCannotBeReadClaimsNothing) {
  const auto made = claimant_of(
      {{"metadata", {{"name", "c"}, {"namespace", "ns"}, {"uid", "u"}}}, {"spec", {{"coreServers", 3}}}},
      {{.name = "n1", .labels = {{"topology.kubernetes.io/zone", "a"}}}});
  EXPECT_EQ(made.uid, "u");
  EXPECT_TRUE(made.nodes.empty());
}

}  // namespace
}  // namespace shima
