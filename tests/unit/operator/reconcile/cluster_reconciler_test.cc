#include "operator/reconcile/cluster_reconciler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "operator/core_view/core_servers.h"
#include "operator/desired/object_labels.h"
#include "tests/unit/operator/reconcile/fake_kubernetes.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kKey[] = "ns/shima";

class HandClock final : public Clock {
 public:
  uint64_t now_us() const override { return now_us_; }
  void pass_ms(uint64_t ms) { now_us_ += ms * 1000; }

 private:
  std::atomic<uint64_t> now_us_{1'000'000'000};
};

// Core servers that say what a test wants them to.
struct CoreSays {
  std::atomic<bool> answer{true};
  std::atomic<bool> whole{true};
  std::atomic<bool> has_volume{false};
  std::atomic<int> more_volumes{0};
};

class FakeCore final : public CoreServers {
 public:
  explicit FakeCore(CoreSays& says) : says_(says) {}
  Result<cluster::v1::GetStatusReply> get_status() override {
    if (!says_.answer) return Status(Code::kUnavailable, "connection refused");
    cluster::v1::GetStatusReply reply;
    reply.set_etcd_reachable(true);
    if (says_.has_volume) {
      auto* volume = reply.add_volumes();
      volume->set_name("vm1");
      volume->set_healthy(says_.whole);
      if (!says_.whole) volume->add_reasons("1 remote members are not whole");
    }
    for (int i = 0; i < says_.more_volumes; ++i) {
      auto* volume = reply.add_volumes();
      volume->set_name("pvc-" + std::to_string(i));
      volume->set_healthy(true);
    }
    return reply;
  }
  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    std::vector<volume::v1::VolumeSummary> list;
    if (says_.has_volume) {
      list.emplace_back().set_name("vm1");
      list.back().set_home("a");
    }
    for (int i = 0; i < says_.more_volumes; ++i) {
      list.emplace_back().set_name("pvc-" + std::to_string(i));
      list.back().set_home("a");
    }
    return list;
  }
  Result<std::vector<cluster::v1::ServerState>> list_servers() override {
    return std::vector<cluster::v1::ServerState>();
  }
  Status unpublish(const std::string&, const std::string&) override { return Status::ok(); }
  Result<replication::v1::ShowGroupsReply> show_groups(const std::string&, const std::string&) override {
    return Status(Code::kUnavailable, "not asked");
  }

 private:
  CoreSays& says_;
};

class ClusterReconcilerTest : public testing::Test {
 protected:
  explicit ClusterReconcilerTest(uint64_t look_every_ms = 5)
      : reconciler_(
            kube_, kube_, [] { return std::set<std::string>(); },
            [this](const std::vector<std::string>&) { return std::make_unique<FakeCore>(core_); },
            {.instance = "operator-0", .settle_ms = 10'000, .core_watch = {.interval_ms = look_every_ms}},
            {clock_, [] { return uint64_t{1'770'000'000'000'000}; }},
            [this](const std::string&) { ++looks_; }) {
    for (const char* site : {"a", "b", "c"})
      for (int i = 0; i < 2; ++i)
        kube_.put(node_kind(), {{"metadata",
                                 {{"name", std::string("node-") + site + std::to_string(i)},
                                  {"labels", {{"topology.kubernetes.io/zone", site}}}}}});
  }

  void make_cluster(const std::string& name_space = "ns",
                    const std::string& created = "2026-01-01T00:00:00Z") {
    kube_.put(
        shima_cluster_kind(),
        {{"metadata",
          {{"name", "shima"}, {"namespace", name_space}, {"generation", 1}, {"creationTimestamp", created}}},
         {"spec",
          {{"coreServers", {{"perSite", 2}, {"disks", json::array({{{"claim", {{"size", "10Gi"}}}}})}}},
           {"etcd", {{"data", {{"claim", {{"size", "1Gi"}}}}}}},
           {"storageClasses", json::array({{{"name", "shima"}}})}}}});
  }

  ReconcileResult reconcile(const std::string& key = kKey) {
    clock_.pass_ms(100);
    return reconciler_.reconcile(key);
  }

  // What the StatefulSet controller and kubelets do: pods of the newest revision, all ready.
  void run_pods(const std::string& revision) {
    for (const auto& [key, set] : kube_.all(stateful_set_kind())) {
      const auto replicas = number_at(*set, "/spec/replicas", 1);
      kube_.edit(stateful_set_kind(), key, [&](json& object) {
        object["status"] = {{"readyReplicas", replicas}, {"updateRevision", revision}};
      });
      for (int i = 0; i < replicas; ++i) {
        const std::string name = name_of(*set) + "-" + std::to_string(i);
        if (kube_.get(pod_kind(), "ns/" + name)) continue;
        json labels = (*set)["metadata"]["labels"];
        labels["controller-revision-hash"] = revision;
        kube_.put(pod_kind(),
                  {{"metadata",
                    {{"name", name},
                     {"namespace", "ns"},
                     {"labels", labels},
                     {"ownerReferences", json::array({{{"kind", "StatefulSet"}, {"name", name_of(*set)}}})}}},
                   {"status", {{"conditions", json::array({{{"type", "Ready"}, {"status", "True"}}})}}}});
      }
    }
  }

  // Until core servers were asked once more, at the clock's present time.
  void hear_core_servers() {
    const uint64_t before = looks_;
    for (int i = 0; i < 2000 && looks_ < before + 2; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_GE(looks_, before + 2) << "the core servers were not asked within 10 s";
  }

  json condition(const std::string& type, const std::string& key = kKey) {
    const ObjectPointer cluster = kube_.get(shima_cluster_kind(), key);
    for (const json& each : cluster->value("status", json::object()).value("conditions", json::array()))
      if (each["type"] == type) return each;
    return {};
  }

  HandClock clock_;
  CoreSays core_;
  std::atomic<uint64_t> looks_{0};
  FakeKubernetes kube_;
  ClusterReconciler reconciler_;
};

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
  kube_.refusals["apply NetworkPolicy"] = Status(
      Code::kPermissionDenied, "networkpolicies is forbidden: cannot patch resource \"networkpolicies\"");
  reconcile();
  EXPECT_TRUE(kube_.get(stateful_set_kind(), "ns/shima-core-c"));
  const std::string message = condition("ObjectsApplied")["message"];
  EXPECT_NE(message.find("cannot patch resource \"networkpolicies\""), std::string::npos) << message;
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
      if (call.starts_with("evict")) order.push_back(call.substr(std::string("evict Pod ").size()));
    ASSERT_LE(kube_.count_calls("evict"), 1u);
    if (kube_.count_calls("evict") == 1) {
      kube_.calls.clear();
      reconcile();
      EXPECT_EQ(kube_.count_calls("evict"), 0u) << "while a pod is missing no other goes";
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
  EXPECT_EQ(kube_.count_calls("evict"), 0u);
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
  core_.more_volumes = 10'000;
  // Most have been written by an operator before this one.
  const ClusterIdentity identity{"ns", "shima",
                                 text_at(*kube_.get(shima_cluster_kind(), kKey), "/metadata/uid")};
  for (int i = 0; i < 9'700; ++i) {
    const VolumeView volume{.name = "pvc-" + std::to_string(i), .home = "a"};
    json object = volume_object(identity, volume);
    object["status"] = volume_status(volume);
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
    if (looks > 0 && kube_.count_calls("apply") == 0) break;
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
