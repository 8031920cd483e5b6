// A node's label changes only where nothing of ours is in use.
#include <gtest/gtest.h>

#include "operator/desired/site_map.h"
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

using nlohmann::json;

class MoveNodesTest : public ClusterReconcilerTest {
 protected:
  void make_running_cluster() {
    make_cluster();
    reconcile();
    run_pods("one");
    reconcile();
    reconcile();
    kube_.calls.clear();
  }
  std::string label(const std::string& node) {
    return label_of(*kube_.get(node_kind(), node), kOwnSiteLabel);
  }
  void set_zone(const std::string& node, const json& zone) {
    kube_.edit(node_kind(), node, [&](json& object) {
      object["metadata"]["labels"].merge_patch({{"topology.kubernetes.io/zone", zone}});
    });
  }
  void attach(const std::string& node, const std::string& driver = "shima.io") {
    kube_.put(volume_attachment_kind(), {{"metadata", {{"name", driver + "-of-" + node}}},
                                         {"spec", {{"attacher", driver}, {"nodeName", node}}}});
  }
  std::string waiting() {
    return condition("NodesWouldMove")["status"] == "True" ? condition("NodesWouldMove")["message"] : "";
  }
};

TEST_F(MoveNodesTest, EveryNodeOfASiteIsLabelledAtOnce) {
  make_cluster();
  reconcile();
  for (const char* site : {"a", "b", "c"})
    for (int i = 0; i < 2; ++i) EXPECT_EQ(label(std::string("node-") + site + std::to_string(i)), site);
  EXPECT_EQ(condition("NodesWouldMove")["status"], "False");
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("patch Node"), 0u);
}

TEST_F(MoveNodesTest, AThousandNodesAreLabelledSomeALook) {
  for (int i = 0; i < 1'000; ++i)
    kube_.put(node_kind(), {{"metadata",
                             {{"name", "more-" + std::to_string(i)},
                              {"labels", {{"topology.kubernetes.io/zone", std::string(1, "abc"[i % 3])}}}}}});
  make_cluster();
  const ReconcileResult first = reconcile();
  EXPECT_EQ(kube_.count_calls("patch Node"), 100u);
  EXPECT_LE(first.again_after_ms, 1'000u);
  EXPECT_NE(first.again_after_ms, 0u);
  for (int i = 0; i < 10; ++i) reconcile();
  EXPECT_EQ(kube_.count_calls("patch Node"), 1'006u);
}

TEST_F(MoveNodesTest, AnUnusedNodeGoesWhereItsLabelSays) {
  make_running_cluster();
  kube_.put(node_kind(),
            {{"metadata", {{"name", "free"}, {"labels", {{"topology.kubernetes.io/zone", "a"}}}}}});
  reconcile();
  ASSERT_EQ(label("free"), "a");
  attach("free", "other.io");
  set_zone("free", "b");
  reconcile();
  EXPECT_EQ(label("free"), "b");
  EXPECT_EQ(kube_.count_calls("list VolumeAttachment"), 1u);
  set_zone("free", nullptr);
  reconcile();
  EXPECT_EQ(label("free"), "") << "and into none";
}

TEST_F(MoveNodesTest, AnAttachedVolumeHoldsItsNodeAndIsAskedForLessAndLess) {
  make_running_cluster();
  kube_.put(node_kind(),
            {{"metadata", {{"name", "used"}, {"labels", {{"topology.kubernetes.io/zone", "a"}}}}}});
  reconcile();
  attach("used");
  set_zone("used", "b");
  reconcile();
  EXPECT_EQ(label("used"), "a");
  EXPECT_EQ(waiting().find("node used would move from site a to site b; held by 1 attached volume"), 0u)
      << waiting();
  kube_.calls.clear();
  for (int i = 0; i < 600; ++i) {  // ten minutes
    reconcile();
    clock_.pass_ms(900);
  }
  EXPECT_LE(kube_.count_calls("list VolumeAttachment"), 9u);
  kube_.take(volume_attachment_kind(), "shima.io-of-used");
  for (int i = 0; i < 310; ++i) {
    reconcile();
    clock_.pass_ms(900);
  }
  EXPECT_EQ(label("used"), "b");
  EXPECT_EQ(waiting(), "");
}

TEST_F(MoveNodesTest, APublicationHoldsItsNodeWithoutAListOfAttachments) {
  core_.has_volume = core_.published = true;  // to node-a0
  make_running_cluster();
  hear_core_servers();
  for (const char* pod : {"shima-core-a-0", "shima-core-a-1"})
    ASSERT_TRUE(kube_.get(pod_kind(), std::string("ns/") + pod));
  set_zone("node-a0", "b");
  reconcile();
  EXPECT_EQ(label("node-a0"), "a");
  EXPECT_NE(waiting().find("1 attached volume"), std::string::npos) << waiting();
  EXPECT_EQ(kube_.count_calls("list"), 0u);
  core_.published = false;
  hear_core_servers();
  reconcile();
  EXPECT_EQ(label("node-a0"), "b");
}

TEST_F(MoveNodesTest, APodOfAServerHoldsItsNodeUntilItHasLeft) {
  make_running_cluster();
  kube_.edit(pod_kind(), "ns/shima-etcd-a-0", [](json& pod) { pod["spec"]["nodeName"] = "node-a1"; });
  set_zone("node-a1", "c");
  reconcile();
  EXPECT_EQ(label("node-a1"), "a");
  EXPECT_NE(waiting().find("held by pod shima-etcd-a-0"), std::string::npos) << waiting();
  EXPECT_EQ(kube_.count_calls("list"), 0u) << "nobody needs to know more";
  kube_.edit(pod_kind(), "ns/shima-etcd-a-0", [](json& pod) { pod["spec"]["nodeName"] = "node-a0"; });
  reconcile();
  EXPECT_EQ(label("node-a1"), "c");
}

TEST_F(MoveNodesTest, ADiskThatIsBoundHoldsItsNodeThoughItsServerIsAway) {
  make_running_cluster();
  json disk = cluster_wide_object({"ns", "shima", ""}, {"v1", "PersistentVolume"}, "shima-ns-core-0-node-a1",
                                  {kCoreComponent, ""});
  const json host = {{"key", "kubernetes.io/hostname"}, {"operator", "In"}, {"values", {"node-a1"}}};
  disk["metadata"]["labels"][kKeepLabel] = kKeepValue;
  disk["spec"] = {
      {"claimRef", {{"name", "disk-0-shima-core-a-1"}}},
      {"nodeAffinity",
       {{"required", {{"nodeSelectorTerms", json::array({{{"matchExpressions", json::array({host})}}})}}}}}};
  disk["status"] = {{"phase", "Bound"}};
  kube_.put(persistent_volume_kind(), disk);
  set_zone("node-a1", "c");
  reconcile();
  EXPECT_EQ(label("node-a1"), "a");
  EXPECT_NE(waiting().find("the disk of claim disk-0-shima-core-a-1"), std::string::npos) << waiting();
  kube_.edit(persistent_volume_kind(), "shima-ns-core-0-node-a1",
             [](json& volume) { volume["status"]["phase"] = "Released"; });
  reconcile();
  EXPECT_EQ(label("node-a1"), "c");
}

TEST_F(MoveNodesTest, WithoutTheRightToListNobodyMovesAndTheRightIsNamed) {
  make_running_cluster();
  kube_.refusals["list"] = Status(Code::kPermissionDenied, "cannot list resource \"volumeattachments\"");
  set_zone("node-a1", "b");
  reconcile();
  EXPECT_EQ(label("node-a1"), "a");
  EXPECT_NE(condition("ObjectsApplied")["message"].get<std::string>().find("volumeattachments"),
            std::string::npos);
  EXPECT_NE(waiting(), "");
}

TEST_F(MoveNodesTest, NobodyMovesWhileTheWatchOfPodsMayBeBehind) {
  make_running_cluster();
  kube_.troubled["Pod"] = Status(Code::kUnavailable, "connection refused");
  set_zone("node-a1", "b");
  reconcile();
  EXPECT_EQ(label("node-a1"), "a");
  EXPECT_NE(waiting().find("connection refused"), std::string::npos) << waiting();
}

TEST_F(MoveNodesTest, ALabelThatSomebodyTakesAwayIsPutBackLaterAndLater) {
  make_running_cluster();
  const auto take_label = [&] {
    kube_.edit(node_kind(), "node-a1", [](json& node) { node["metadata"]["labels"].erase(kOwnSiteLabel); });
  };
  take_label();
  reconcile();
  EXPECT_EQ(label("node-a1"), "a") << "the first time at once";
  kube_.calls.clear();
  for (int i = 0; i < 600; ++i) {  // ten minutes
    if (label("node-a1") == "a") take_label();
    reconcile();
    clock_.pass_ms(900);
  }
  EXPECT_GE(kube_.count_calls("patch Node"), 5u);
  EXPECT_LE(kube_.count_calls("patch Node"), 12u);
}

TEST_F(MoveNodesTest, DaemonSetsOfAnEarlierOperatorChangeSomeTimeAfterTheLabels) {
  make_running_cluster();
  const auto to_earlier = [](json& object) {
    object["spec"]["template"]["spec"]["nodeSelector"] = {
        {"topology.kubernetes.io/zone", label_of(object, kSiteLabel)}};
  };
  for (const ResourceKind* kind : {&stateful_set_kind(), &daemon_set_kind()})
    for (const auto& [key, object] : kube_.all(*kind)) kube_.edit(*kind, key, to_earlier);
  for (const auto& [name, node] : kube_.all(node_kind()))
    kube_.edit(node_kind(), name, [](json& object) { object["metadata"]["labels"].erase(kOwnSiteLabel); });
  restart_operator();
  reconcile();
  const auto selector = [&](const ResourceKind& kind, const std::string& name) {
    return (*kube_.get(kind, "ns/" + name))["spec"]["template"]["spec"]["nodeSelector"].dump();
  };
  const std::string by_zone = R"({"topology.kubernetes.io/zone":"a"})",
                    by_site = R"({"topology.shima.io/site":"a"})";
  EXPECT_EQ(label("node-a0"), "a");
  EXPECT_EQ(selector(daemon_set_kind(), "shima-csi-mounter-a"), by_zone);
  reconcile();
  EXPECT_EQ(selector(daemon_set_kind(), "shima-csi-mounter-a"), by_zone);
  clock_.pass_ms(11'000);
  const ReconcileResult result = reconcile();
  EXPECT_EQ(selector(daemon_set_kind(), "shima-csi-mounter-a"), by_site);
  EXPECT_EQ(selector(daemon_set_kind(), "shima-csi-node-a"), by_site);
  EXPECT_EQ(selector(stateful_set_kind(), "shima-core-a"), by_zone) << "no server restarts for it";
  EXPECT_NE(result.again_after_ms, 0u);
}

TEST_F(MoveNodesTest, DeletionTakesTheLabelsAlsoAfterARestart) {
  make_running_cluster();
  ask_for_deletion();
  restart_operator();
  reconcile();
  for (int i = 0; i < 12 && kube_.get(shima_cluster_kind(), kKey); ++i) {
    hear_core_servers();
    reconcile();
  }
  EXPECT_FALSE(kube_.get(shima_cluster_kind(), kKey));
  EXPECT_EQ(label("node-a0"), "");
}

TEST_F(MoveNodesTest, DisksThatHaveNotBeenListedHoldEveryNode) {
  make_running_cluster();
  kube_.put(node_kind(),
            {{"metadata", {{"name", "free"}, {"labels", {{"topology.kubernetes.io/zone", "a"}}}}}});
  reconcile();
  kube_.unwatched["PersistentVolume"] = Status::ok();
  set_zone("free", "b");
  reconcile();
  EXPECT_EQ(label("free"), "a");
  EXPECT_NE(waiting().find("persistentvolumes have not been listed yet"), std::string::npos) << waiting();
  kube_.unwatched.clear();
  kube_.troubled["PersistentVolume"] = Status(Code::kUnavailable, "connection refused");
  reconcile();
  EXPECT_EQ(label("free"), "a");
  kube_.troubled.clear();
  reconcile();
  EXPECT_EQ(label("free"), "b");
}

TEST_F(MoveNodesTest, AYoungerClusterThatIsRefusedKeepsNoNodeFromTheOlderOne) {
  make_running_cluster();
  make_cluster("other", "2026-02-01T00:00:00Z");
  reconcile("other/shima");
  kube_.put(node_kind(),
            {{"metadata", {{"name", "joins"}, {"labels", {{"topology.kubernetes.io/zone", "a"}}}}}});
  reconcile("other/shima");
  EXPECT_EQ(label("joins"), "") << "the younger one has no nodes";
  reconcile();
  EXPECT_EQ(label("joins"), "a");
}

TEST_F(MoveNodesTest, TwoClustersCannotHaveSitesOfOneName) {
  make_running_cluster();
  kube_.put(node_kind(), {{"metadata", {{"name", "theirs"}, {"labels", {{"hall", "a"}}}}}});
  make_cluster("other", "2026-02-01T00:00:00Z");
  kube_.edit(shima_cluster_kind(), "other/shima", [](json& cluster) {
    cluster["spec"]["topology"] = {{"label", "hall"}};
    cluster["spec"]["csi"] = {{"enabled", false}};
  });
  reconcile("other/shima");
  const std::string told = condition("SitesMapped", "other/shima")["message"];
  EXPECT_NE(told.find("has a site of the same name, a"), std::string::npos) << told;
  EXPECT_EQ(label("theirs"), "");
}

}  // namespace
}  // namespace shima
