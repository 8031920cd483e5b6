// What keeps a rolling upgrade from a pod that would not come back, and what does not.
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

class RestartServersTest : public ClusterReconcilerTest {
 protected:
  // Each core server on the node of its number, members of etcd on the first of their sites.
  void make_running_cluster() {
    make_cluster();
    reconcile();
    run_pods("one");
    for (const auto& [key, pod] : kube_.all(pod_kind()))
      if (key.starts_with("ns/shima-core-") || key.starts_with("ns/shima-etcd-"))
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
  void begin_an_upgrade(const std::string& of) {
    for (const auto& [key, set] : kube_.all(stateful_set_kind()))
      if (key.starts_with("ns/" + of))
        kube_.edit(stateful_set_kind(), key,
                   [](json& object) { object["status"]["updateRevision"] = "two"; });
    kube_.calls.clear();
  }
  void change_node(const std::string& node, const json& patch) {
    kube_.edit(node_kind(), node, [&](json& object) { object.merge_patch(patch); });
  }
  void change_cluster(const json& patch) {
    kube_.edit(shima_cluster_kind(), kKey, [&](json& cluster) { cluster.merge_patch(patch); });
  }
  // `label`: of nodes that can use it.
  void put_disk(const std::string& claim, const json& label) {
    kube_.put(claim_kind(), {{"metadata", {{"name", claim}, {"namespace", "ns"}}},
                             {"spec", {{"volumeName", "pv-" + claim}}}});
    const json expression = {
        {"key", label.begin().key()}, {"operator", "In"}, {"values", json::array({label.begin().value()})}};
    const json terms = json::array({{{"matchExpressions", json::array({expression})}}});
    kube_.put(persistent_volume_kind(),
              {{"metadata", {{"name", "pv-" + claim}}},
               {"spec", {{"nodeAffinity", {{"required", {{"nodeSelectorTerms", terms}}}}}}}});
  }
  void lose_site_c() {
    for (const char* node : {"node-c0", "node-c1"}) kube_.take(node_kind(), node);
    kube_.edit(pod_kind(), "ns/shima-etcd-c-0",
               [](json& pod) { pod["status"]["conditions"][0]["status"] = "False"; });
    change_cluster({{"spec", {{"topology", {{"removedSites", json::array({"c"})}}}}}});
  }
  std::string said() { return condition("Upgrading").value("message", ""); }
};

const json kTaint = {{"spec", {{"taints", json::array({{{"key", "dedicated"}, {"effect", "NoSchedule"}}})}}}};

TEST_F(RestartServersTest, ACoreServerStaysOnANodeWithANewTaint) {
  make_running_cluster();
  begin_an_upgrade("shima-core-");
  change_node("node-a1", kTaint);
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u);
  EXPECT_NE(
      said().find("node node-a1 no longer fits pod shima-core-a-1: it has the taint dedicated:NoSchedule; "
                  "take it away, or tolerate it in spec.coreServers.tolerations (no other node would "
                  "take the pod with its disks)"),
      std::string::npos)
      << said();
  const json toleration = {{"key", "dedicated"}, {"operator", "Exists"}};
  change_cluster({{"spec", {{"coreServers", {{"tolerations", json::array({toleration})}}}}}});
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-a-1"), 1u) << said();
}

TEST_F(RestartServersTest, ACoreServerStaysOnANodeThatLostItsLabel) {
  make_running_cluster();
  begin_an_upgrade("shima-core-");
  change_cluster({{"spec", {{"coreServers", {{"nodeSelector", {{"disk", "nvme"}}}}}}}});
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u);
  EXPECT_NE(said().find("it lacks the label disk=nvme; put it back"), std::string::npos) << said();
  change_node("node-a1", {{"metadata", {{"labels", {{"disk", "nvme"}}}}}});
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-a-1"), 1u) << said();
}

TEST_F(RestartServersTest, ACoreServerMovesWhereAnotherNodeTakesItWithItsDisk) {
  make_running_cluster();
  begin_an_upgrade("shima-core-");
  change_node("node-a1", kTaint);
  kube_.put(
      node_kind(),
      {{"metadata",
        {{"name", "node-a2"}, {"labels", {{"topology.kubernetes.io/zone", "a"}, {"host", "node-a2"}}}}}});
  put_disk("disk-0-shima-core-a-1", {{"host", "node-a1"}});
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u) << "there is a node for it, and not for its disk";
  put_disk("disk-0-shima-core-a-1", {{"topology.kubernetes.io/zone", "a"}});
  kube_.edit(pod_kind(), "ns/shima-core-c-0", [](json& pod) { pod["spec"]["nodeName"] = "node-a2"; });
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u) << "another core server has it";
  kube_.edit(pod_kind(), "ns/shima-core-c-0", [](json& pod) { pod["spec"]["nodeName"] = "node-c0"; });
  look();
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-a-1"), 1u) << said();
}

TEST_F(RestartServersTest, AMemberOfEtcdStaysOnACordonedNode) {
  make_running_cluster();
  begin_an_upgrade("shima-etcd-a");
  change_node("node-a0", {{"spec", {{"unschedulable", true}}}});
  look();
  EXPECT_EQ(kube_.count_calls("evict"), 0u);
  EXPECT_NE(said().find("node node-a0 no longer fits pod shima-etcd-a-0: it is cordoned; uncordon it"),
            std::string::npos)
      << said();
  change_node("node-a0", {{"spec", {{"unschedulable", false}}}});
  look();
  EXPECT_EQ(kube_.count_calls("evict Pod shima-etcd-a-0"), 1u) << said();
}

TEST_F(RestartServersTest, APodWhoseNodeIsGoneStays) {
  make_running_cluster();
  begin_an_upgrade("shima-etcd-a");
  kube_.take(node_kind(), "node-a0");
  look();
  EXPECT_EQ(kube_.count_calls("evict"), 0u);
  EXPECT_NE(said().find("there is no such node"), std::string::npos) << said();
}

TEST_F(RestartServersTest, WhatDoesNotServeRestartsAllTheSame) {
  make_running_cluster();
  begin_an_upgrade("shima-core-");
  change_node("node-a1", kTaint);
  kube_.edit(pod_kind(), "ns/shima-core-a-1",
             [](json& pod) { pod["status"]["conditions"][0]["status"] = "False"; });
  look();
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-a-1"), 1u) << said();
}

TEST_F(RestartServersTest, ALostMemberOfARemovedSiteHoldsNoCoreServer) {
  make_running_cluster();
  lose_site_c();
  look();
  begin_an_upgrade("shima-");
  look();
  EXPECT_EQ(kube_.count_calls("evict"), 0u) << "in vain, or etcd would have no majority";
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-a-1"), 1u) << said();
  EXPECT_NE(said().find("shima-etcd-a-0 keeps its old version: a member at removed site c is away"),
            std::string::npos)
      << said();
  for (int i = 0; i < 8; ++i) {
    run_pods("two");
    look();
  }
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core-"), 4u) << "all that are left";
  EXPECT_EQ(kube_.count_calls("evict"), 0u);
  EXPECT_EQ(condition("Upgrading")["reason"], "Waiting") << "a person may see to etcd";
  EXPECT_EQ(said().find("4 of 4 core servers run the wanted version; shima-etcd-a-0 keeps its old version"),
            0u)
      << said();
}

}  // namespace
}  // namespace shima
