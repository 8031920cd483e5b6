// `kubectl drain`: volumes leave a node first, and then one core server goes.
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

class DrainNodesTest : public ClusterReconcilerTest {
 protected:
  // Each core server on the node of its number.
  void make_running_cluster() {
    core_.has_volume = core_.tells_groups = true;
    make_cluster();
    reconcile();
    run_pods("one");
    for (const auto& [key, pod] : kube_.all(pod_kind()))
      if (key.starts_with("ns/shima-core-"))
        kube_.edit(pod_kind(), key, [&](json& object) {
          object["spec"]["nodeName"] = "node-" + label_of(object, kSiteLabel) + key.back();
        });
    look();
  }
  void look() {
    reconcile();
    clock_.pass_ms(30'000);
    hear_core_servers();
    for (int i = 0; i < 3; ++i) reconcile();
  }
  void cordon(const std::string& node, bool yes = true) {
    kube_.edit(node_kind(), node, [yes](json& object) { object["spec"]["unschedulable"] = yes; });
  }
  void taint(const std::string& node, const std::string& key) {
    kube_.edit(node_kind(), node, [&](json& object) {
      object["spec"]["taints"] = json::array({{{"key", key}, {"effect", "NoSchedule"}}});
    });
  }
  // The sites whose core servers' budgets let one go.
  std::string open_sites() {
    std::string open;
    for (const auto& [key, budget] : kube_.all(disruption_budget_kind()))
      if (label_of(*budget, kComponentLabel) == kCoreComponent &&
          number_at(*budget, "/spec/maxUnavailable", -1) != 0)
        open += label_of(*budget, kSiteLabel);
    return open;
  }
  std::string said() { return condition("NodesDraining").value("message", ""); }
  void begin_an_upgrade() {
    for (const auto& [key, set] : kube_.all(stateful_set_kind()))
      if (key.starts_with("ns/shima-core"))
        kube_.edit(stateful_set_kind(), key,
                   [](json& object) { object["status"]["updateRevision"] = "two"; });
  }
};

TEST_F(DrainNodesTest, TheBudgetOpensOnceVolumesHaveLeftTheNodeAndShutsWhenItIsOver) {
  make_running_cluster();
  EXPECT_EQ(open_sites(), "");
  core_.published = true;
  cordon("node-a0");
  look();
  EXPECT_EQ(open_sites(), "");
  EXPECT_EQ(said(), "node node-a0 is cordoned: waiting until volume vm1 is no longer published there");
  core_.published = false;
  look();
  EXPECT_EQ(open_sites(), "a") << said();
  EXPECT_EQ(said(), "node node-a0 is cordoned: a/core-0 may be evicted");
  kube_.take(pod_kind(), "ns/shima-core-a-0");
  for (int i = 0; i < 2; ++i) reconcile();
  EXPECT_EQ(open_sites(), "") << "one has gone";
  run_pods("one");
  look();
  cordon("node-a0", false);
  look();
  EXPECT_EQ(condition("NodesDraining")["status"], "False");
}

TEST_F(DrainNodesTest, WhatWasListedBeforeTheNodeWasCordonedDoesNotCount) {
  const std::string unknown =
      "node node-a0 is cordoned: waiting until core servers say which volumes are published there";
  make_running_cluster();
  cordon("node-a0");
  reconcile();
  EXPECT_EQ(said(), unknown) << "they were asked before";
  core_.lists_volumes = false;
  look();
  EXPECT_EQ(said(), unknown) << "they answer, but not that";
  EXPECT_EQ(open_sites(), "");
  core_.lists_volumes = true;
  look();
  EXPECT_EQ(open_sites(), "a") << said();
}

TEST_F(DrainNodesTest, TheBudgetStaysShutWhileACopyIsCutOff) {
  make_running_cluster();
  core_.remotes_away = 1;
  cordon("node-a0");
  look();
  EXPECT_EQ(open_sites(), "");
  EXPECT_NE(said().find("a/core-0 does not reach 1 copy at other sites"), std::string::npos) << said();
  core_.remotes_away = 0;
  look();
  EXPECT_EQ(open_sites(), "a") << said();
}

TEST_F(DrainNodesTest, OneSiteIsOpenAtATime) {
  make_running_cluster();
  for (const char* node : {"node-a0", "node-b1", "node-c0"}) cordon(node);
  look();
  look();
  EXPECT_EQ(open_sites(), "a") << said();
  cordon("node-a0", false);
  reconcile();
  reconcile();
  EXPECT_EQ(open_sites(), "") << "whoever went by a's budget may not be seen to go yet";
  look();
  look();
  EXPECT_EQ(open_sites(), "b") << said();
}

TEST_F(DrainNodesTest, AnAutoscalerGetsNoNodeWithDisksOnItself) {
  make_running_cluster();
  cordon("node-a0");
  look();
  ASSERT_EQ(open_sites(), "a");
  kube_.edit(shima_cluster_kind(), kKey, [](json& cluster) {
    cluster["spec"]["coreServers"]["disks"] = json::array({{{"hostPath", "/srv/shima"}}});
  });
  taint("node-a1", "karpenter.sh/disrupted");
  reconcile();
  reconcile();
  EXPECT_EQ(open_sites(), "") << "at once, also for node-a0: a budget cannot tell its server from node-a1's";
  look();
  look();
  EXPECT_EQ(open_sites(), "");
  EXPECT_NE(said().find("an autoscaler wants to delete node node-a1, which holds the disks of a/core-1"),
            std::string::npos)
      << said();
}

TEST_F(DrainNodesTest, AnAutoscalerGetsANodeWhoseDisksAreClaims) {
  make_running_cluster();
  taint("node-a1", "ToBeDeletedByClusterAutoscaler");
  look();
  EXPECT_EQ(open_sites(), "a") << said();
}

// As operators before made it, for all sites.
TEST_F(DrainNodesTest, AnOlderBudgetIsTakenAwayFirst) {
  make_running_cluster();
  kube_.put(disruption_budget_kind(),
            {{"metadata",
              {{"name", "shima-core"},
               {"namespace", "ns"},
               {"labels", (*kube_.get(disruption_budget_kind(), "ns/shima-core-a"))["metadata"]["labels"]}}},
             {"spec", {{"maxUnavailable", 1}}}});
  cordon("node-a0");
  clock_.pass_ms(30'000);
  hear_core_servers();
  for (int i = 0; i < 3; ++i) reconcile();
  EXPECT_FALSE(kube_.get(disruption_budget_kind(), "ns/shima-core"));
  look();
  EXPECT_EQ(open_sites(), "a") << said();
}

TEST_F(DrainNodesTest, NoCoreServerRestartsWhileADrainMayTakeOne) {
  make_running_cluster();
  cordon("node-a0");
  look();
  ASSERT_EQ(open_sites(), "a");
  kube_.calls.clear();
  begin_an_upgrade();
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u);
  const std::string message = condition("Upgrading").value("message", "");
  EXPECT_NE(message.find("drains come first: node node-a0 is cordoned"), std::string::npos) << message;
  cordon("node-a0", false);
  reconcile();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u) << "its server may not be seen to go yet";
  look();
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-a-1"), 1u) << message;
}

// Its budget is shut: nobody else is to take it away.
TEST_F(DrainNodesTest, AnUpgradeDeletesACoreServerAsItWasSeenAndDoesNotEvictIt) {
  make_running_cluster();
  begin_an_upgrade();
  kube_.calls.clear();
  kube_.refusals["delete"] = Status(Code::kConflict, "it has changed");
  look();
  EXPECT_TRUE(kube_.get(pod_kind(), "ns/shima-core-a-1"));
  EXPECT_EQ(kube_.count_calls("evict"), 0u);
  kube_.refusals.clear();
  look();
  EXPECT_FALSE(kube_.get(pod_kind(), "ns/shima-core-a-1"));
}

// Its budgets are never shut.
TEST_F(DrainNodesTest, ATrialIsUpgradedAllTheSame) {
  make_running_cluster();
  kube_.edit(shima_cluster_kind(), kKey, [](json& cluster) { cluster["spec"]["trial"] = true; });
  look();
  EXPECT_EQ(open_sites(), "abc");
  begin_an_upgrade();
  kube_.calls.clear();
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core"), 1u) << condition("Upgrading");
}

}  // namespace
}  // namespace shima
