#include "operator/reconcile/cluster_reconciler.h"

#include <gtest/gtest.h>

#include <chrono>

#include "operator/desired/object_labels.h"
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

using nlohmann::json;

TEST_F(ClusterReconcilerTest, EveryObjectIsMadeOnceAndNothingIsWrittenAgainAtRest) {
  make_cluster();
  reconcile();
  for (const char* site : {"a", "b", "c"})
    EXPECT_TRUE(kube_.get(stateful_set_kind(), std::string("ns/shima-core-") + site)) << site;
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True") << condition("ObjectsApplied");
  const auto cluster = kube_.get(shima_cluster_kind(), kKey);
  EXPECT_EQ((*cluster)["metadata"]["finalizers"], json::array({kFinalizer}));
  reconcile();
  hear_core_servers();
  reconcile();
  kube_.calls.clear();
  for (int i = 0; i < 10; ++i) reconcile();
  EXPECT_TRUE(kube_.calls.empty()) << kube_.calls.front();
}

TEST_F(ClusterReconcilerTest, AForeignChangeIsPutBack) {
  make_cluster();
  reconcile();
  reconcile();
  kube_.edit(stateful_set_kind(), "ns/shima-core-a",
             [](json& set) { set["spec"]["serviceName"] = "stolen"; });
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply StatefulSet"), 1u);
}

TEST_F(ClusterReconcilerTest, WhoChangesTheSameFieldAgainAndAgainIsNamed) {
  make_cluster();
  reconcile();
  reconcile();
  const auto meddle = [&](const char* field, const char* by) {
    kube_.edit(stateful_set_kind(), "ns/shima-core-a", [&](json& set) {
      set["spec"][field] = "stolen";
      set["metadata"]["managedFields"] = json::array({{{"manager", by}, {"time", "2026-01-01T00:00:00Z"}}});
    });
    reconcile();
  };
  meddle("serviceName", "meddler");
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True") << "once is a slip";
  clock_.pass_ms(2'000);
  meddle("serviceName", "meddler");
  EXPECT_EQ(condition("ObjectsApplied")["reason"], "Contested");
  const std::string message = condition("ObjectsApplied")["message"];
  EXPECT_NE(message.find("StatefulSet ns/shima-core-a is changed again and again by \"meddler\""),
            std::string::npos)
      << message;
  clock_.pass_ms(20 * 60'000);
  reconcile();
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True") << "it has stopped";
}

TEST_F(ClusterReconcilerTest, WhatIsNotWantedAnyMoreGoesAndStrangersStay) {
  make_cluster();
  reconcile();
  kube_.put(
      *kind_of({{"apiVersion", "v1"}, {"kind", "ConfigMap"}}),
      namespaced_object({"ns", "shima", text_at(*kube_.get(shima_cluster_kind(), kKey), "/metadata/uid")},
                        {"v1", "ConfigMap"}, "old", {"x", ""}));
  kube_.put(*kind_of({{"apiVersion", "v1"}, {"kind", "ConfigMap"}}),
            {{"metadata", {{"name", "stranger"}, {"namespace", "ns"}}}});
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("delete"), 1u);
  EXPECT_EQ(kube_.count_calls("delete ConfigMap old"), 1u);
}

TEST_F(ClusterReconcilerTest, ASpecThatCannotBeReadChangesNothingAndIsTold) {
  make_cluster();
  reconcile();
  reconcile();
  hear_core_servers();
  reconcile();
  kube_.edit(shima_cluster_kind(), kKey,
             [](json& cluster) { cluster["spec"]["coreServers"]["perSite"] = "two"; });
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("delete"), 0u);
  EXPECT_EQ(kube_.count_calls("apply StatefulSet"), 0u);
  EXPECT_EQ(condition("SpecAccepted")["status"], "False");
  EXPECT_EQ(kube_.count_calls("create Event"), 1u) << "of SpecAccepted, and of nothing else";
}

TEST_F(ClusterReconcilerTest, OneRefusalDoesNotKeepOthersFromBeingAppliedAndNamesTheRight) {
  make_cluster();
  kube_.refusals["apply NetworkPolicy"] =
      Status(Code::kPermissionDenied,
             "networkpolicies is forbidden: User \"operator\" cannot patch resource \"networkpolicies\"");
  reconcile();
  EXPECT_TRUE(kube_.get(stateful_set_kind(), "ns/shima-core-c"));
  const std::string message = condition("ObjectsApplied")["message"];
  EXPECT_NE(message.find("cannot patch resource \"networkpolicies\""), std::string::npos) << message;
  EXPECT_NE(message.find("give the operator's ServiceAccount this right"), std::string::npos) << message;
  EXPECT_EQ(condition("ObjectsApplied")["status"], "False");
  kube_.refusals.clear();
  clock_.pass_ms(5'000);
  reconcile();
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True");
}

TEST_F(ClusterReconcilerTest, AnApiServerThatIsAwayIsLeftAlone) {
  make_cluster();
  kube_.refusals["apply"] = Status(Code::kUnavailable, "connection refused");
  const ReconcileResult result = reconcile();
  EXPECT_TRUE(result.failed);
  EXPECT_EQ(kube_.count_calls("apply"), 1u) << "the second call would wait as long as the first one";
  kube_.refusals.clear();
  EXPECT_FALSE(reconcile().failed);
  EXPECT_TRUE(kube_.get(stateful_set_kind(), "ns/shima-core-c"));
}

TEST_F(ClusterReconcilerTest, NothingIsDoneBeforeTheNodesHaveBeenSeen) {
  make_cluster();
  kube_.unwatched["Node"] =
      Status(Code::kPermissionDenied, "nodes is forbidden: cannot list resource \"nodes\"");
  reconcile();
  clock_.pass_ms(11'000);
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply "), 0u);
  const std::string message = condition("ObjectsApplied")["message"];
  EXPECT_NE(message.find("cannot list resource \"nodes\""), std::string::npos) << message;
}

TEST_F(ClusterReconcilerTest, TheYoungerOfTwoInOneNamespaceGetsNothing) {
  make_cluster();
  kube_.put(
      shima_cluster_kind(),
      {{"metadata", {{"name", "young"}, {"namespace", "ns"}, {"creationTimestamp", "2026-02-01T00:00:00Z"}}},
       {"spec", (*kube_.get(shima_cluster_kind(), kKey))["spec"]}});
  reconcile("ns/young");
  EXPECT_EQ(kube_.count_calls("apply "), 0u);
  EXPECT_EQ(condition("SitesMapped", "ns/young")["reason"], "NodesClaimedTwice");
  reconcile();
  EXPECT_TRUE(kube_.get(stateful_set_kind(), "ns/shima-core-a"));
}

TEST_F(ClusterReconcilerTest, AnUpgradeRestartsEtcdFirstAndThenCoreServersOneAtATime) {
  make_cluster();
  reconcile();
  run_pods("one");
  reconcile();
  hear_core_servers();
  kube_.calls.clear();
  run_pods("two");  // all pods are there, of the old revision
  std::vector<std::string> order;
  for (int i = 0; i < 400 && order.size() < 9; ++i) {
    kube_.calls.clear();
    reconcile();
    for (const std::string& call : kube_.calls)
      for (const std::string begin : {"evict Pod ", "delete as seen Pod "})
        if (call.starts_with(begin)) order.push_back(call.substr(begin.size()));
    const auto restarts = [&] { return kube_.count_calls("evict") + kube_.count_calls("delete as seen"); };
    ASSERT_LE(restarts(), 1u);
    if (restarts() == 1) {
      kube_.calls.clear();
      reconcile();
      EXPECT_EQ(restarts(), 0u) << "while a pod is missing no other goes";
      run_pods("two");
    }
    clock_.pass_ms(11'000);
    hear_core_servers();
  }
  ASSERT_EQ(order.size(), 9u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(order[i].starts_with("shima-etcd-")) << order[i];
  EXPECT_EQ(order[3], "shima-core-a-1");
  EXPECT_EQ(order[8], "shima-core-c-0");
  reconcile();
  EXPECT_EQ(condition("Upgrading")["status"], "False");
}

TEST_F(ClusterReconcilerTest, NoCoreServerRestartsWhileACopyIsBehind) {
  make_cluster();
  core_.has_volume = true;
  core_.whole = false;
  reconcile();
  run_pods("one");
  reconcile();
  for (const auto& [key, set] : kube_.all(stateful_set_kind()))
    if (key.starts_with("ns/shima-core"))
      kube_.edit(stateful_set_kind(), key, [](json& object) { object["status"]["updateRevision"] = "two"; });
  reconcile();
  clock_.pass_ms(30'000);
  hear_core_servers();
  reconcile();
  EXPECT_EQ(kube_.count_calls("delete as seen"), 0u);
  EXPECT_EQ(condition("Upgrading")["reason"], "Waiting");
  const std::string message = condition("Upgrading")["message"];
  EXPECT_NE(message.find("vm1"), std::string::npos) << message;
}

TEST_F(ClusterReconcilerTest, VolumesGetObjectsThatGoWithThem) {
  make_cluster();
  core_.has_volume = true;
  reconcile();
  run_pods("one");
  reconcile();
  hear_core_servers();
  reconcile();
  reconcile();
  ASSERT_TRUE(kube_.get(shima_volume_kind(), "ns/vm1"));
  EXPECT_EQ((*kube_.get(shima_volume_kind(), "ns/vm1"))["status"]["home"], "a");
  core_.has_volume = false;
  hear_core_servers();
  reconcile();
  EXPECT_FALSE(kube_.get(shima_volume_kind(), "ns/vm1"));
}

TEST_F(ClusterReconcilerTest, DeletionWaitsForTheVolumesAndThenTakesWhatHasNoOwner) {
  make_cluster();
  core_.has_volume = true;
  reconcile();
  run_pods("one");
  reconcile();
  hear_core_servers();
  const auto ask = [](json& cluster) { cluster["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"; };
  kube_.edit(shima_cluster_kind(), kKey, ask);
  reconcile();
  EXPECT_EQ(condition("DeletionIsBlocked")["status"], "True");
  EXPECT_EQ(condition("DeletionIsBlocked")["reason"], "VolumesExist");
  core_.answer = false;
  hear_core_servers();
  reconcile();
  EXPECT_EQ(condition("DeletionIsBlocked")["reason"], "VolumesNotKnown");
  core_.answer = true;
  core_.has_volume = false;
  for (int i = 0; i < 10 && kube_.get(shima_cluster_kind(), kKey); ++i) {
    hear_core_servers();
    reconcile();
  }
  EXPECT_FALSE(kube_.get(shima_cluster_kind(), kKey)) << "its finalizer is gone";
  for (const ResourceKind& kind : owned_kinds()) {
    if (!kind.namespaced) {
      EXPECT_TRUE(kube_.all(kind).empty()) << kind.plural;
    }
  }
}

TEST_F(ClusterReconcilerTest, ANodeIsFencedOnlyIfItIsTaintedAndNotReadyAndThisOperatorLeads) {
  make_cluster();
  core_.has_volume = core_.published = true;
  reconcile();
  run_pods("one");
  const auto make_node = [&](const std::string& ready) {
    kube_.edit(node_kind(), "node-a0", [&](json& node) {
      node["spec"]["taints"] = json::array({{{"key", "node.kubernetes.io/out-of-service"}}});
      node["status"]["conditions"] = json::array({{{"type", "Ready"}, {"status", ready}}});
    });
  };
  make_node("True");
  const auto look = [&] {
    reconcile();
    hear_core_servers();
    reconcile();
  };
  look();
  look();
  EXPECT_EQ(core_.unpublished, 0) << "it is Ready";
  EXPECT_EQ(kube_.count_calls("create Event"), 1u) << "and that is told, once";
  core_.leads = false;
  make_node("Unknown");
  look();
  EXPECT_EQ(core_.unpublished, 0) << "another operator leads";
  core_.leads = true;
  look();
  EXPECT_EQ(core_.unpublished, 1);
}

TEST_F(ClusterReconcilerTest, AnUnreadyPodIsDeletedPastItsBudgetOnlyAsItWasSeen) {
  make_cluster();
  reconcile();
  run_pods("one");
  kube_.edit(pod_kind(), "ns/shima-etcd-a-0",
             [](json& pod) { pod["status"]["conditions"][0]["status"] = "False"; });
  kube_.edit(stateful_set_kind(), "ns/shima-etcd-a",
             [](json& set) { set["status"]["updateRevision"] = "two"; });
  kube_.refusals["evict"] = Status(Code::kUnavailable, "it would violate the pod's disruption budget");
  kube_.refusals["delete"] = Status(Code::kConflict, "it has changed");
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("evict Pod shima-etcd-a-0"), 1u);
  EXPECT_EQ(kube_.count_calls("delete as seen Pod shima-etcd-a-0"), 1u);
  EXPECT_EQ(condition("Upgrading")["reason"], "Waiting");
  kube_.refusals.erase("delete");
  reconcile();
  EXPECT_FALSE(kube_.get(pod_kind(), "ns/shima-etcd-a-0"));
}

TEST_F(ClusterReconcilerTest, AReadyPodIsNeverDeletedPastItsBudget) {
  make_cluster();
  reconcile();
  run_pods("one");
  kube_.edit(stateful_set_kind(), "ns/shima-etcd-a",
             [](json& set) { set["status"]["updateRevision"] = "two"; });
  kube_.refusals["evict"] = Status(Code::kUnavailable, "it would violate the pod's disruption budget");
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("evict Pod shima-etcd-a-0"), 1u);
  EXPECT_EQ(kube_.count_calls("delete"), 0u);
}

TEST_F(ClusterReconcilerTest, AnOlderClusterWhoseSpecCannotBeReadKeepsWhatItHas) {
  make_cluster();
  make_cluster("other", "2026-02-01T00:00:00Z");
  reconcile();
  kube_.edit(shima_cluster_kind(), kKey,
             [](json& cluster) { cluster["spec"]["coreServers"]["perSite"] = "two"; });
  kube_.calls.clear();
  reconcile("other/shima");
  EXPECT_EQ(kube_.count_calls("apply "), 0u);
  EXPECT_EQ(condition("SitesMapped", "other/shima")["reason"], "NodesClaimedTwice");
}

TEST_F(ClusterReconcilerTest, AVolumeThatNobodyTellsOfAnyMoreIsCalledUnknown) {
  make_cluster();
  core_.has_volume = true;
  reconcile();
  run_pods("one");
  reconcile();
  const auto volume = [this] {
    const ObjectPointer found = kube_.get(shima_volume_kind(), "ns/vm1");
    return found ? text_at(*found, "/status/health") : "";
  };
  for (int looks = 0; looks < 3; ++looks) {
    hear_core_servers();
    reconcile();
  }
  EXPECT_EQ(volume(), "Healthy");
  core_.answer = false;
  hear_core_servers();
  reconcile();
  EXPECT_EQ(volume(), "Healthy") << "they may only be busy";
  EXPECT_EQ(condition("VolumesHealthy")["status"], "Unknown");
  clock_.pass_ms(61'000);
  hear_core_servers();
  reconcile();
  EXPECT_EQ(volume(), "Unknown");
  EXPECT_FALSE(text_at(*kube_.get(shima_volume_kind(), "ns/vm1"), "/status/observedTime").empty());
  core_.answer = true;
  hear_core_servers();
  reconcile();
  EXPECT_EQ(volume(), "Healthy");
}

TEST_F(ClusterReconcilerTest, AnEtcdOfOthersThatCoreServersDoNotReachIsNotReady) {
  make_cluster();
  kube_.edit(shima_cluster_kind(), kKey, [](json& cluster) {
    cluster["spec"]["etcd"] = {{"endpoints", json::array({"etcd:2379"})}};
  });
  reconcile();
  EXPECT_EQ(condition("EtcdReady")["status"], "Unknown");
  run_pods("one");
  reconcile();
  hear_core_servers();
  reconcile();
  EXPECT_EQ(condition("EtcdReady")["reason"], "Reached");
}

// Looks that come all the time would take the processor from what is tested.
class LargeClusterTest : public ClusterReconcilerTest {
 protected:
  LargeClusterTest() : ClusterReconcilerTest(300) {}
};

TEST_F(LargeClusterTest, ThousandsOfNodesAndVolumesCostNoCallsAtRest) {
  for (int i = 0; i < 1'000; ++i)
    kube_.put(node_kind(), {{"metadata",
                             {{"name", "more-" + std::to_string(i)},
                              {"labels", {{"topology.kubernetes.io/zone", std::string(1, "abc"[i % 3])}}}}}});
  make_cluster();
  reconcile();  // a cluster with volumes has an etcd
  core_.more_volumes = 10'000;
  // Most have been written by an operator before this one.
  const ClusterIdentity identity{"ns", "shima",
                                 text_at(*kube_.get(shima_cluster_kind(), kKey), "/metadata/uid")};
  for (int i = 0; i < 9'700; ++i) {
    const VolumeView volume{
        .name = "pvc-" + std::to_string(i), .home = "a", .health_known = true, .copies_are_old = true};
    json object = volume_object(identity, volume.name);
    object["status"] = volume_status(volume, {});
    kube_.put(shima_volume_kind(), std::move(object));
  }
  reconcile();
  run_pods("one");
  reconcile();
  hear_core_servers();
  size_t most = 0;
  for (int looks = 0; looks < 400; ++looks) {
    kube_.calls.clear();
    clock_.pass_ms(2'000);
    reconcile();
    most = std::max(most,
                    kube_.count_calls("apply ShimaVolume") + kube_.count_calls("apply_status ShimaVolume"));
    if (looks > 0 && kube_.calls.empty()) break;  // nodes have been labelled, too
  }
  EXPECT_EQ(kube_.all(shima_volume_kind()).size(), 10'000u);
  EXPECT_EQ(most, VolumeObjects::kMaxChanges) << "one look is bounded";
  hear_core_servers();
  reconcile();
  kube_.calls.clear();
  auto took = std::chrono::steady_clock::duration::zero();
  for (int i = 0; i < 3; ++i) {
    hear_core_servers();
    const auto begin = std::chrono::steady_clock::now();
    reconcile();
    took += std::chrono::steady_clock::now() - begin;
  }
  EXPECT_TRUE(kube_.calls.empty()) << kube_.calls.front();
  RecordProperty("ms_a_look",
                 static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count() / 3));
}

TEST_F(LargeClusterTest, DirectoriesOfAThousandHostsCostNoCallsAtRest) {
  for (int i = 0; i < 994; ++i)
    kube_.put(node_kind(), {{"metadata",
                             {{"name", "more-" + std::to_string(i)},
                              {"labels", {{"topology.kubernetes.io/zone", std::string(1, "abc"[i % 3])}}}}}});
  make_cluster();
  kube_.edit(shima_cluster_kind(), kKey, [](json& cluster) {
    cluster["spec"]["coreServers"]["disks"] =
        json::array({{{"hostPath", "/srv/disk-0"}}, {{"hostPath", "/srv/disk-1"}}});
    cluster["spec"]["etcd"]["data"] = {{"hostPath", "/srv/etcd"}};
  });
  core_.answer = false;
  for (int looks = 0; looks < 20; ++looks) reconcile();  // until all nodes are labelled
  const ObjectMap volumes = kube_.all(persistent_volume_kind());
  EXPECT_EQ(volumes.size(), 3'000u);
  kube_.calls.clear();
  constexpr uint64_t kHourMs = 3'600'000, kLookMs = 300'000;
  for (uint64_t passed = 0; passed < kHourMs; passed += kLookMs) {
    clock_.pass_ms(kLookMs);
    reconcile();
  }
  EXPECT_EQ(kube_.count_calls("apply "), 0u) << "in an hour";
  // Claims have taken them meanwhile: their status is somebody else's, and says so in a new version.
  for (const auto& [key, volume] : volumes)
    kube_.edit(persistent_volume_kind(), key, [](json& object) { object["status"]["phase"] = "Bound"; });
  size_t all = 0, most = 0;
  for (uint64_t passed = 0; passed < kHourMs / 3; passed += kLookMs / 5) {
    kube_.calls.clear();
    clock_.pass_ms(kLookMs / 5);
    reconcile();
    all += kube_.count_calls("apply PersistentVolume");
    most = std::max(most, kube_.count_calls("apply PersistentVolume"));
  }
  EXPECT_EQ(all, 3'000u) << "each is looked after once";
  EXPECT_LT(most, 600u) << "and not all in one look";
}

TEST_F(ClusterReconcilerTest, AClusterThatIsGoneIsForgotten) {
  make_cluster();
  reconcile();
  kube_.take(shima_cluster_kind(), kKey);
  kube_.calls.clear();
  const ReconcileResult result = reconcile();
  EXPECT_FALSE(result.failed);
  EXPECT_TRUE(kube_.calls.empty());
}

}  // namespace
}  // namespace shima
