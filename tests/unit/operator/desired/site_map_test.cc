#include "operator/desired/site_map.h"

#include <gtest/gtest.h>

#include "operator/desired/node_labels.h"
#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Names = std::vector<std::string>;

ShimaClusterSpec listed_sites() {
  ShimaClusterSpec spec;
  spec.topology.sites = {{"berlin", {{"row", "b"}}}, {"munich", {{"row", "m"}, {"hall", "1"}}}};
  return spec;
}

bool tells(const SiteMap& map, const std::string& words) {
  return std::any_of(map.problems.begin(), map.problems.end(),
                     [&](const std::string& problem) { return problem.find(words) != std::string::npos; });
}

TEST(SiteMap, TheLabelsValueIsTheSite) {
  const SampleCluster sample({"a", "b"});
  const SiteMap map = map_sites(sample.spec, sample.nodes, {});
  EXPECT_EQ(map.nodes_of_site.at("a"), (Names{"a-1", "a-2"}));
  EXPECT_EQ(map.label, "topology.kubernetes.io/zone");
  EXPECT_FALSE(map.label_is_ours);
  EXPECT_TRUE(map.problems.empty());
}

TEST(SiteMap, ANodeWithoutTheLabelIsInNoSite) {
  SampleCluster sample({"a"});
  sample.nodes.push_back(sample_node("control-plane", {}));
  const SiteMap map = map_sites(sample.spec, sample.nodes, {});
  EXPECT_EQ(map.nodes_of_site.size(), 1u);
  EXPECT_TRUE(map.problems.empty());
}

TEST(SiteMap, AValueThatCannotBeASiteIsToldOnceWithItsNodes) {
  SampleCluster sample({"a"});
  for (const char* name : {"n1", "n2", "n3", "n4"}) sample.add_node(name, "Zone_1");
  const SiteMap map = map_sites(sample.spec, sample.nodes, {});
  EXPECT_EQ(map.nodes_of_site.size(), 1u);
  ASSERT_EQ(map.problems.size(), 1u);
  EXPECT_NE(map.problems[0].find("\"Zone_1\" on n1, n2, n3 and 1 more"), std::string::npos)
      << map.problems[0];
}

TEST(SiteMap, AllLabelsOfAnEntryMustFit) {
  const SiteMap map = map_sites(listed_sites(),
                                {sample_node("x", {{"row", "m"}, {"hall", "1"}}),
                                 sample_node("y", {{"row", "m"}}), sample_node("z", {{"row", "b"}})},
                                {});
  EXPECT_EQ(map.nodes_of_site.at("munich"), Names{"x"});
  EXPECT_EQ(map.nodes_of_site.at("berlin"), Names{"z"});
  EXPECT_EQ(map.label, "topology.shima.io/site");
  EXPECT_TRUE(map.label_is_ours);
}

TEST(SiteMap, ANodeThatTwoEntriesFitIsInNone) {
  ShimaClusterSpec spec = listed_sites();
  spec.topology.sites.push_back({"other", {{"hall", "1"}}});
  const SiteMap map = map_sites(
      spec, {sample_node("x", {{"row", "m"}, {"hall", "1"}}), sample_node("z", {{"row", "b"}})}, {});
  EXPECT_FALSE(map.nodes_of_site.contains("munich"));
  EXPECT_TRUE(tells(map, "node x fits sites munich, other")) << map.problems.size();
}

TEST(SiteMap, AListedSiteWithoutNodesIsNotMadeYet) {
  const SiteMap map = map_sites(listed_sites(), {sample_node("z", {{"row", "b"}})}, {});
  EXPECT_FALSE(map.nodes_of_site.contains("munich"));
  EXPECT_TRUE(tells(map, "munich has no nodes yet"));
}

TEST(SiteMap, ASiteWhoseNodesVanishedStays) {
  const SampleCluster sample({"a"});
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "gone"});
  EXPECT_TRUE(map.nodes_of_site.at("gone").empty());
  EXPECT_TRUE(tells(map, "site gone has no nodes; it stays"));
}

TEST(SiteMap, ANodeThatTheListForgotStaysWhereItsLabelSaysAndThatIsTold) {
  const std::vector<NodeView> nodes = {
      sample_node("none", {{kOwnSiteLabel, "berlin"}}),
      sample_node("two", {{"row", "m"}, {"hall", "1"}, {kOwnSiteLabel, "munich"}}),
      sample_node("kept", {{kOwnSiteLabel, "vanished"}})};
  ShimaClusterSpec spec = listed_sites();
  spec.topology.sites.push_back({"other", {{"hall", "1"}}});
  const SiteMap map = map_sites(spec, nodes, {"berlin", "munich", "vanished"});
  EXPECT_EQ(map.nodes_of_site.at("berlin"), Names{"none"});
  EXPECT_EQ(map.nodes_of_site.at("munich"), Names{"two"});
  EXPECT_EQ(map.nodes_of_site.at("vanished"), Names{"kept"});
  EXPECT_TRUE(tells(map, "node none fits no entry of spec.topology.sites, wanted one, and stays in berlin"));
  EXPECT_TRUE(tells(map, "node two fits sites munich, other, wanted one, and stays in munich"));
  EXPECT_TRUE(node_label_patches(map, nodes).empty());
}

TEST(SiteMap, ALabelMakesNoSiteThatNobodyHasListed) {
  const std::vector<NodeView> nodes = {sample_node("x", {{kOwnSiteLabel, "invented"}})};
  const SiteMap map = map_sites(listed_sites(), nodes, {});
  EXPECT_FALSE(map.nodes_of_site.contains("invented"));
  EXPECT_TRUE(tells(map, "is in none; its label topology.shima.io/site=invented stays"));
  EXPECT_TRUE(node_label_patches(map, nodes).empty());
}

TEST(SiteMap, ASiteWithReadyNodesIsNotRemoved) {
  SampleCluster sample({"a", "b"});
  sample.spec.topology.removed_sites = {"b"};
  sample.nodes.back().ready = false;  // b-2
  SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_EQ(map.nodes_of_site.at("b"), (Names{"b-1", "b-2"}));
  ASSERT_EQ(map.refused.size(), 1u);
  EXPECT_NE(map.refused[0].find("its nodes b-1 are Ready"), std::string::npos) << map.refused[0];
  EXPECT_FALSE(map_sites(sample.spec, sample.nodes, {"a"}).nodes_of_site.contains("b"))
      << "it is gone already";

  sample.observed.core_servers_of_site = {{"a", 2}, {"b", 2}};
  const DesiredCluster desired = sample.desired();
  EXPECT_TRUE(std::find(desired.refused.begin(), desired.refused.end(), map.refused[0]) !=
              desired.refused.end());
  EXPECT_FALSE(desired.removed_sites.contains("b"));
}

TEST(SiteMap, ARemovedSiteGoesEvenIfItsNodesAreStillThereAndNotReady) {
  SampleCluster sample({"a", "b"});
  for (NodeView& node : sample.nodes) node.ready = false;
  sample.spec.topology.removed_sites = {"b"};
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_FALSE(map.nodes_of_site.contains("b"));
  EXPECT_TRUE(tells(map, "b is in spec.topology.removedSites, and its nodes b-1, b-2 are still there"));
}

TEST(SiteMap, NoSiteAtAllIsAProblem) {
  const SiteMap map = map_sites({}, {sample_node("x", {})}, {});
  EXPECT_TRUE(tells(map, "no node has the label topology.kubernetes.io/zone"));
}

TEST(NodeLabels, OnlyNodesWhoseLabelIsNotRightArePatched) {
  const std::vector<NodeView> nodes = {
      sample_node("new", {{"row", "b"}}), sample_node("right", {{"row", "b"}, {kOwnSiteLabel, "berlin"}}),
      sample_node("moved", {{"row", "m"}, {"hall", "1"}, {kOwnSiteLabel, "berlin"}}),
      sample_node("left", {{kOwnSiteLabel, "removed"}}), sample_node("never", {})};
  ShimaClusterSpec spec = listed_sites();
  spec.topology.removed_sites = {"removed"};
  const auto patches = node_label_patches(map_sites(spec, nodes, {}), nodes);
  ASSERT_EQ(patches.size(), 3u);
  const nlohmann::json::json_pointer label("/metadata/labels/topology.shima.io~1site");
  EXPECT_EQ(patches.at("new").at(label), "berlin");
  EXPECT_EQ(patches.at("moved").at(label), "munich");
  EXPECT_TRUE(patches.at("left").at(label).is_null());
}

TEST(NodeLabels, ALabelOfOthersIsNeverWritten) {
  const SampleCluster sample({"a"});
  EXPECT_TRUE(node_label_patches(map_sites(sample.spec, sample.nodes, {}), sample.nodes).empty());
}

}  // namespace
}  // namespace shima
