#include "operator/desired/site_map.h"

#include <gtest/gtest.h>

#include "operator/desired/node_labels.h"
#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Names = std::vector<std::string>;
using Patches = std::map<std::string, nlohmann::json>;

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
  // It may be another cluster's.
  const std::vector<NodeView> nodes = {sample_node("x", {{kOwnSiteLabel, "invented"}}),
                                       sample_node("y", {{kOwnSiteLabel, "invented"}, {"row", "b"}})};
  const SiteMap map = map_sites(listed_sites(), nodes, {});
  EXPECT_FALSE(map.nodes_of_site.contains("invented"));
  EXPECT_FALSE(tells(map, "node x"));
  EXPECT_EQ(map.nodes_of_site.at("berlin"), Names{"y"});
  EXPECT_EQ(node_label_patches(map, nodes), (Patches{{"y", node_label_patch("berlin")}}));

  const SampleCluster sample({"a"});
  const SiteMap by_label = map_sites(sample.spec, nodes, {});
  EXPECT_TRUE(node_label_patches(by_label, nodes).empty());
}

TEST(SiteMap, ANodeStaysWhereItIsUntilItMayMove) {
  SampleCluster sample({"a", "b"});
  for (NodeView& node : sample.nodes) node.labels[kOwnSiteLabel] = node.name.substr(0, 1);
  sample.nodes[1].labels["topology.kubernetes.io/zone"] = "b";  // a-2
  sample.nodes[3].labels.erase("topology.kubernetes.io/zone");  // b-2
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_EQ(map.nodes_of_site.at("a"), (Names{"a-1", "a-2"}));
  EXPECT_EQ(map.nodes_of_site.at("b"), (Names{"b-1", "b-2"}));
  ASSERT_EQ(map.moves.size(), 2u);
  EXPECT_EQ(map.moves.at("a-2").from, "a");
  EXPECT_EQ(map.moves.at("a-2").to, "b");
  EXPECT_EQ(map.moves.at("b-2").to, "") << "into none";
  EXPECT_TRUE(node_label_patches(map, sample.nodes).empty());
  EXPECT_TRUE(map.problems.empty()) << "a condition of its own tells";
}

TEST(SiteMap, ASlipInALabelMovesNobody) {
  SampleCluster sample({"a", "b"});
  sample.nodes[0].labels = {{"topology.kubernetes.io/zone", "A!"}, {kOwnSiteLabel, "a"}};
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_EQ(map.nodes_of_site.at("a"), (Names{"a-1", "a-2"}));
  EXPECT_TRUE(map.moves.empty());
  EXPECT_TRUE(tells(map, "\"A!\" on a-1"));
}

TEST(SiteMap, WhereDaemonSetsGoByTheTopologyLabelOursSaysNothing) {
  SampleCluster sample({"a", "b"});
  sample.nodes[0].labels[kOwnSiteLabel] = "b";  // of another time
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"}, {"a", "b"});
  EXPECT_EQ(map.nodes_of_site.at("a"), (Names{"a-1", "a-2"}));
  EXPECT_TRUE(map.moves.empty());
  EXPECT_EQ(node_label_patches(map, sample.nodes).at("a-1"), node_label_patch("a"));
}

TEST(SiteMap, ARemovedSitesNodesMoveNowhereElseFirst) {
  SampleCluster sample({"a", "b"});
  for (NodeView& node : sample.nodes) node.labels[kOwnSiteLabel] = node.name.substr(0, 1);
  for (size_t i : {2, 3}) {
    sample.nodes[i].labels["topology.kubernetes.io/zone"] = "a";
    sample.nodes[i].out_of_service = true;
    sample.nodes[i].ready = false;
  }
  sample.spec.topology.removed_sites = {"b"};
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_FALSE(map.nodes_of_site.contains("b"));
  EXPECT_TRUE(map.moves.empty());
  EXPECT_EQ(node_label_patches(map, sample.nodes).size(), 2u) << "the label of what is gone goes";
}

TEST(SiteMap, ASiteWithNodesIsNotRemoved) {
  SampleCluster sample({"a", "b"});
  sample.spec.topology.removed_sites = {"b"};
  sample.nodes.back().out_of_service = true;  // b-2
  sample.nodes.back().ready = false;
  sample.nodes[2].out_of_service = true;  // of another time: it is Ready
  SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_EQ(map.nodes_of_site.at("b"), (Names{"b-1", "b-2"}));
  ASSERT_EQ(map.refused.size(), 1u);
  EXPECT_NE(map.refused[0].find("its nodes b-1 are still there"), std::string::npos) << map.refused[0];
  EXPECT_FALSE(map_sites(sample.spec, sample.nodes, {"a"}).nodes_of_site.contains("b"))
      << "it is gone already";

  sample.observed.core_servers_of_site = {{"a", 2}, {"b", 2}};
  const DesiredCluster desired = sample.desired();
  EXPECT_TRUE(std::find(desired.refused.begin(), desired.refused.end(), map.refused[0]) !=
              desired.refused.end());
  EXPECT_FALSE(desired.removed_sites.contains("b"));
}

// Or a removal that was refused once would come true in the middle of a cut.
TEST(SiteMap, ASiteWhoseNodesAreOnlyNotReadyIsNotRemoved) {
  SampleCluster sample({"a", "b"});
  for (NodeView& node : sample.nodes) node.ready = false;
  sample.spec.topology.removed_sites = {"b"};
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_EQ(map.nodes_of_site.at("b"), (Names{"b-1", "b-2"}));
  EXPECT_EQ(map.refused.size(), 1u);
}

TEST(SiteMap, ARemovedSiteGoesEvenIfItsNodesAreStillThereButOutOfService) {
  SampleCluster sample({"a", "b"});
  for (NodeView& node : sample.nodes) {
    node.out_of_service = true;
    node.ready = false;
  }
  sample.spec.topology.removed_sites = {"b"};
  const SiteMap map = map_sites(sample.spec, sample.nodes, {"a", "b"});
  EXPECT_FALSE(map.nodes_of_site.contains("b"));
  EXPECT_TRUE(tells(map, "b is in spec.topology.removedSites, and its nodes b-1, b-2 are out of service"));
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
  const SiteMap map = map_sites(spec, nodes, {});
  const auto patches = node_label_patches(map, nodes);
  ASSERT_EQ(patches.size(), 2u);
  const nlohmann::json::json_pointer label("/metadata/labels/topology.shima.io~1site");
  EXPECT_EQ(patches.at("new").at(label), "berlin");
  EXPECT_TRUE(patches.at("left").at(label).is_null());
  EXPECT_EQ(map.moves.at("moved").to, "munich");
}

TEST(NodeLabels, AreWrittenForSitesByLabelToo) {
  SampleCluster sample({"a"});
  sample.nodes.push_back(sample_node("control-plane", {}));
  const auto patches = node_label_patches(map_sites(sample.spec, sample.nodes, {}), sample.nodes);
  EXPECT_EQ(patches, (Patches{{"a-1", node_label_patch("a")}, {"a-2", node_label_patch("a")}}));
}

}  // namespace
}  // namespace shima
