// What a person is told when something cannot go on as asked, and what he may do then.
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

class WaysOutTest : public ClusterReconcilerTest {
 protected:
  void make_running_cluster() {
    make_cluster();
    reconcile();
    run_pods("one");
    reconcile();
  }
  void change_cluster(const json& patch) {
    kube_.edit(shima_cluster_kind(), kKey, [&](json& cluster) { cluster.merge_patch(patch); });
  }
  void annotate(const std::string& image) {
    change_cluster({{"metadata", {{"annotations", {{"shima.io/upgrade-without-waiting", image}}}}}});
  }
  std::string image_of(const ResourceKind& kind, const std::string& name) {
    const json object = *kube_.get(kind, "ns/" + name);
    return object["spec"]["template"]["spec"]["containers"][0]["image"];
  }
  std::string said(const std::string& type) { return condition(type).value("message", ""); }
};

TEST_F(WaysOutTest, AnUpgradeThatWaitsForEverGoesOnForOneImageIfSomebodySaysSo) {
  make_running_cluster();
  change_cluster({{"spec", {{"image", "shima/shima:two"}}}});
  kube_.take(pod_kind(), "ns/shima-core-a-1");  // its host is gone: no server restarts any more
  reconcile();
  EXPECT_NE(image_of(stateful_set_kind(), "shima-access-a"), "shima/shima:two");
  EXPECT_NE(said("Upgrading").find("shima.io/upgrade-without-waiting=shima/shima:two"), std::string::npos)
      << said("Upgrading");
  annotate("shima/shima:one");
  reconcile();
  EXPECT_NE(image_of(stateful_set_kind(), "shima-access-a"), "shima/shima:two") << "that was another upgrade";
  annotate("shima/shima:two");
  kube_.calls.clear();
  for (int i = 0; i < 3; ++i) reconcile();
  EXPECT_EQ(image_of(stateful_set_kind(), "shima-access-a"), "shima/shima:two");
  EXPECT_EQ(image_of(deployment_kind(), "shima-csi-controller"), "shima/shima:two");
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-core"), 0u)
      << "core servers go by what they always go by";
}

TEST_F(WaysOutTest, CopiesAtOtherSitesThatAreCutOffHoldAnUpgradeUnlessSomebodySaysSo) {
  make_running_cluster();
  core_.tells_groups = true;
  core_.remotes_away = 2;
  for (const auto& [key, set] : kube_.all(stateful_set_kind()))
    if (key.starts_with("ns/shima-core"))
      kube_.edit(stateful_set_kind(), key, [](json& object) { object["status"]["updateRevision"] = "two"; });
  const auto look = [&] {
    kube_.calls.clear();
    reconcile();
    clock_.pass_ms(30'000);
    hear_core_servers();
    reconcile();
    return kube_.count_calls("delete as seen Pod shima-core");
  };
  EXPECT_EQ(look(), 0u);
  EXPECT_NE(said("Upgrading").find("a/core-0 does not reach 2 copies at other sites"), std::string::npos)
      << said("Upgrading");
  EXPECT_NE(said("Upgrading").find("shima.io/upgrade-without-waiting="), std::string::npos)
      << said("Upgrading");
  change_cluster({{"spec", {{"image", "shima/shima:two"}}}});
  annotate("shima/shima:two");
  EXPECT_EQ(look(), 1u) << said("Upgrading");
}

TEST_F(WaysOutTest, ADriverThatNobodyAsksForStaysWhileAVolumeIsAttached) {
  make_running_cluster();
  kube_.put(volume_attachment_kind(),
            {{"metadata", {{"name", "other"}}}, {"spec", {{"attacher", "other.io"}}}});
  kube_.put(volume_attachment_kind(),
            {{"metadata", {{"name", "one"}}}, {"spec", {{"attacher", "shima.io"}}}});
  change_cluster({{"spec", {{"csi", {{"enabled", false}}}}}});
  for (int i = 0; i < 5; ++i) reconcile();
  EXPECT_TRUE(kube_.get(daemon_set_kind(), "ns/shima-csi-mounter-a"));
  EXPECT_TRUE(kube_.get(deployment_kind(), "ns/shima-csi-controller"));
  EXPECT_NE(said("SpecAccepted").find("1 volumes are attached"), std::string::npos) << said("SpecAccepted");
  EXPECT_EQ(kube_.count_calls("list VolumeAttachment"), 1u) << "there may be many";
  kube_.take(volume_attachment_kind(), "one");
  clock_.pass_ms(60'000);
  reconcile();
  EXPECT_FALSE(kube_.get(daemon_set_kind(), "ns/shima-csi-mounter-a"));
  EXPECT_EQ(condition("SpecAccepted")["status"], "True");
  kube_.calls.clear();
  clock_.pass_ms(60'000);
  reconcile();
  EXPECT_EQ(kube_.count_calls("list VolumeAttachment"), 0u);
}

TEST_F(WaysOutTest, ADriverStaysWhileNobodyTellsWhatIsAttached) {
  make_running_cluster();
  kube_.refusals["list"] = Status(Code::kPermissionDenied, "cannot list volumeattachments");
  change_cluster({{"spec", {{"csi", {{"enabled", false}}}}}});
  reconcile();
  EXPECT_TRUE(kube_.get(daemon_set_kind(), "ns/shima-csi-mounter-a"));
  EXPECT_NE(said("SpecAccepted").find("nobody tells which volumes are attached"), std::string::npos);
}

TEST_F(WaysOutTest, ServersOfARemovedSiteAreNotWaitedFor) {
  make_running_cluster();
  core_.one_is_away = true;
  for (const auto& [key, set] : kube_.all(stateful_set_kind()))
    if (key.starts_with("ns/shima-core"))
      kube_.edit(stateful_set_kind(), key, [](json& object) { object["status"]["updateRevision"] = "two"; });
  const auto look = [&] {
    kube_.calls.clear();
    reconcile();
    clock_.pass_ms(30'000);
    hear_core_servers();
    reconcile();
    return kube_.count_calls("delete as seen Pod shima-core");
  };
  EXPECT_EQ(look(), 0u);
  EXPECT_NE(said("Upgrading").find("c/core-1"), std::string::npos) << said("Upgrading");
  for (const char* node : {"node-c0", "node-c1"}) kube_.take(node_kind(), node);
  change_cluster({{"spec", {{"topology", {{"removedSites", json::array({"c"})}}}}}});
  EXPECT_EQ(look(), 1u) << said("Upgrading");
}

}  // namespace
}  // namespace shima
