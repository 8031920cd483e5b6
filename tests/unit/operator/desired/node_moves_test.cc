#include "operator/desired/node_moves.h"

#include <gtest/gtest.h>

#include "operator/desired/inputs_reading.h"
#include "operator/desired/node_labels.h"
#include "operator/desired/object_labels.h"
#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Json = nlohmann::json;

SiteMap moving(const std::string& node, const std::string& from, const std::string& to) {
  SiteMap map;
  map.moves[node] = {from, to};
  return map;
}

TEST(NodeMoves, ANodeWithNothingOfOursOnItGoes) {
  const NodeUse use{.servers = {{"other", {"pod shima-core-a-0"}}}, .attachments = {{"n", 0}, {"other", 3}}};
  const MoveDecision decision = decide_moves(moving("n", "a", "b"), {}, use);
  ASSERT_TRUE(decision.now.contains("n"));
  EXPECT_EQ(decision.now.at("n").to, "b");
  EXPECT_TRUE(decision.waiting.empty());
}

TEST(NodeMoves, ServersHoldItAndAreNamed) {
  const NodeUse use{.servers = {{"n", {"pod p1", "pod p2", "the disk of claim c1", "pod p3"}}}};
  const MoveDecision decision = decide_moves(moving("n", "a", "b"), {}, use);
  EXPECT_TRUE(decision.now.empty());
  ASSERT_EQ(decision.waiting.size(), 1u);
  EXPECT_EQ(
      decision.waiting[0],
      "node n would move from site a to site b; held by pod p1, pod p2, the disk of claim c1 and 1 more");
}

TEST(NodeMoves, AttachedVolumesHoldItAndAreCounted) {
  const MoveDecision decision = decide_moves(moving("n", "a", ""), {}, {.attachments = {{"n", 2}}});
  EXPECT_TRUE(decision.now.empty());
  ASSERT_EQ(decision.waiting.size(), 1u);
  EXPECT_EQ(decision.waiting[0], "node n would move from site a to none; held by 2 attached volumes");
}

TEST(NodeMoves, WhatIsNotKnownHoldsIt) {
  const MoveDecision decision =
      decide_moves(moving("n", "a", "b"), {}, {.attachments_unknown = "a list that was refused"});
  EXPECT_TRUE(decision.now.empty());
  EXPECT_NE(decision.waiting.at(0).find("a list that was refused"), std::string::npos);
}

TEST(NodeMoves, ServersOfARemovedSiteHoldNothingButMountsDo) {
  NodeUse use{.servers = {{"n", {"pod p1"}}}};
  EXPECT_TRUE(decide_moves(moving("n", "a", ""), {"a"}, use).now.contains("n"));
  EXPECT_FALSE(decide_moves(moving("n", "a", ""), {"b"}, use).now.contains("n"));
  use.attachments["n"] = 1;
  EXPECT_FALSE(decide_moves(moving("n", "a", ""), {"a"}, use).now.contains("n"));
}

// What an operator made that chose nodes by spec.topology.label: the same objects with that selector.
class EarlierObjects : public testing::Test {
 protected:
  EarlierObjects() : sample_({"a", "b", "c"}) {
    for (Json object : sample_.desired().objects) {
      const bool is_workload = object["kind"] == "StatefulSet" || object["kind"] == "DaemonSet";
      const std::string site = is_workload ? object["metadata"]["labels"].value(kSiteLabel, "") : "";
      if (site.empty()) continue;
      object["spec"]["template"]["spec"]["nodeSelector"] = {{"topology.kubernetes.io/zone", site}};
      workloads_.push_back(std::move(object));
    }
    look();
  }
  void look() {
    sample_.observed = read_observed(sample_.cluster, workloads_, {});
    sample_.observed.labels_have_settled = settled_;
  }
  void label_nodes() {
    for (NodeView& node : sample_.nodes) node.labels[kOwnSiteLabel] = node.name.substr(0, 1);
  }
  Json selector(const std::string& kind, const std::string& name) {
    return pod_of(object_of(sample_.desired(), kind, name))["nodeSelector"];
  }

  const Json old_{{"topology.kubernetes.io/zone", "a"}}, new_{{kOwnSiteLabel, "a"}};
  bool settled_ = false;
  SampleCluster sample_;
  std::vector<Json> workloads_;
};

TEST_F(EarlierObjects, DaemonSetsChangeOnlyAfterTheirNodesAreLabelledAndThatIsKnown) {
  EXPECT_EQ(sample_.observed.daemons_by_topology_label, (std::set<std::string>{"a", "b", "c"}));
  settled_ = true;
  look();
  EXPECT_EQ(selector("DaemonSet", "shima-csi-mounter-a"), old_) << "no node is labelled";
  label_nodes();
  settled_ = false;
  look();
  EXPECT_EQ(selector("DaemonSet", "shima-csi-mounter-a"), old_) << "perhaps not all know it yet";
  settled_ = true;
  look();
  for (const char* name : {"shima-csi-mounter-a", "shima-csi-node-a"})
    EXPECT_EQ(selector("DaemonSet", name), new_) << name;
}

TEST_F(EarlierObjects, ANodeThatComesMeanwhileIsLabelledFirst) {
  label_nodes();
  settled_ = true;
  look();
  sample_.add_node("a-3", "a");
  EXPECT_EQ(selector("DaemonSet", "shima-csi-mounter-a"), old_);
}

TEST_F(EarlierObjects, ServersAreNotRestartedForItButWithTheNextImage) {
  label_nodes();
  settled_ = true;
  look();
  for (const char* name : {"shima-core-a", "shima-etcd-a", "shima-access-a"})
    EXPECT_EQ(selector("StatefulSet", name), old_) << name;
  sample_.spec.image = "shima/shima:next";
  EXPECT_EQ(selector("StatefulSet", "shima-core-a"), new_);
  EXPECT_EQ(selector("StatefulSet", "shima-access-a"), new_);
  EXPECT_EQ(selector("StatefulSet", "shima-etcd-a"), old_) << "its image stays";
  EXPECT_TRUE(
      has_argument(pod_of(object_of(sample_.desired(), "DaemonSet", "shima-csi-node-a"))["containers"][0],
                   "--topology-key=topology.kubernetes.io/zone"))
      << "PersistentVolumes know their sites by it";
}

}  // namespace
}  // namespace shima
