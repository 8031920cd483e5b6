// What must outlive mishaps: etcd's membership, and what volumes live by.
#include <gtest/gtest.h>

#include "operator/desired/etcd_record.h"
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr char kThreeSites[] = R"({"a":1,"b":1,"c":1})";

std::string initial_cluster(const json& set) {
  for (const json& argument : set["spec"]["template"]["spec"]["containers"][0]["args"])
    if (argument.get<std::string>().starts_with("--initial-cluster=")) return argument;
  return {};
}

class EtcdMembershipTest : public ClusterReconcilerTest {
 protected:
  void take_nodes_of(const std::string& site) {
    for (int i = 0; i < 2; ++i) kube_.take(node_kind(), "node-" + site + std::to_string(i));
  }
  std::vector<std::string> etcd_sets() {
    std::vector<std::string> names;
    for (const auto& [key, set] : kube_.all(stateful_set_kind()))
      if (name_of(*set).starts_with("shima-etcd") || name_of(*set) == "shima-witness")
        names.push_back(name_of(*set));
    return names;
  }
  const std::vector<std::string> all_three_{"shima-etcd-a", "shima-etcd-b", "shima-etcd-c"};
};

TEST_F(EtcdMembershipTest, IsWrittenDownBeforeEtcdIsMade) {
  make_cluster();
  reconcile();
  EXPECT_EQ(etcd_members(), kThreeSites);
  const auto first = [&](const std::string& begin) {
    return std::find_if(kube_.calls.begin(), kube_.calls.end(),
                        [&](const std::string& call) { return call.starts_with(begin); });
  };
  EXPECT_LT(first("patch ShimaCluster"), first("create ConfigMap shima-etcd-members"));
  EXPECT_LT(first("create ConfigMap shima-etcd-members"), first("apply "));
}

TEST_F(EtcdMembershipTest, ThatCannotBeWrittenDownMakesNothing) {
  make_cluster();
  kube_.refusals["create ConfigMap"] = Status(Code::kPermissionDenied, "cannot create configmaps");
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply StatefulSet"), 0u);
  EXPECT_EQ(condition("ObjectsApplied")["status"], "False");
  kube_.refusals.clear();
  kube_.refusals["get ConfigMap"] = Status(Code::kUnavailable, "connection refused");
  EXPECT_TRUE(reconcile().failed) << "without an answer nobody knows whether there is one";
  EXPECT_EQ(kube_.count_calls("apply StatefulSet"), 0u);
}

TEST_F(EtcdMembershipTest, IsCompletedAfterTheApiServerWasAwayInTheMiddle) {
  make_cluster();
  kube_.refusals["apply StatefulSet shima-etcd-b"] = Status(Code::kDeadlineExceeded, "timeout");
  reconcile();
  EXPECT_EQ(etcd_sets(), std::vector<std::string>{"shima-etcd-a"});
  kube_.refusals.clear();
  restart_operator();
  reconcile();
  EXPECT_EQ(etcd_sets(), all_three_);
  EXPECT_NE(initial_cluster(*stateful_set("shima-etcd-a")).find("shima-etcd-c-0="), std::string::npos);
}

TEST_F(EtcdMembershipTest, IsPutBackWhenSomebodyTakesOneAway) {
  make_cluster();
  reconcile();
  const std::string before = initial_cluster(*stateful_set("shima-etcd-a"));
  kube_.take(stateful_set_kind(), "ns/shima-etcd-b");
  kube_.edit(stateful_set_kind(), "ns/shima-etcd-c", [](json& set) { set["spec"]["replicas"] = 0; });
  kube_.edit(stateful_set_kind(), "ns/shima-etcd-a",
             [](json& set) { set["metadata"]["labels"].erase(kClusterLabel); });
  restart_operator();
  reconcile();
  EXPECT_EQ(etcd_sets(), all_three_);
  for (const std::string& name : all_three_) {
    EXPECT_EQ(initial_cluster(*stateful_set(name)), before) << name;
    EXPECT_EQ((*stateful_set(name))["spec"]["replicas"], 1) << name;
  }
  EXPECT_EQ((*stateful_set("shima-etcd-a"))["metadata"]["labels"][kClusterLabel], "shima");
}

TEST_F(EtcdMembershipTest, IsNotChosenAnewWhenItsOnlySiteIsLost) {
  for (const char* site : {"b", "c"}) take_nodes_of(site);
  make_cluster();
  reconcile();
  ASSERT_EQ(etcd_members(), R"({"a":3})");
  for (int i = 0; i < 2; ++i)
    for (const char* site : {"b", "c", "d"})
      kube_.put(node_kind(), {{"metadata",
                               {{"name", std::string("node-") + site + std::to_string(i)},
                                {"labels", {{"topology.kubernetes.io/zone", site}}}}}});
  take_nodes_of("a");
  kube_.take(stateful_set_kind(), "ns/shima-etcd-a");
  restart_operator();
  reconcile();
  EXPECT_EQ(etcd_sets(), std::vector<std::string>{"shima-etcd-a"}) << "no second, empty etcd";
}

TEST_F(EtcdMembershipTest, AllOfWhoseObjectsAreGoneTakesNoServersAlong) {
  take_nodes_of("c");
  kube_.put(node_kind(), {{"metadata", {{"name", "far"}}}});
  make_cluster();
  reconcile();
  ASSERT_EQ(etcd_members(), R"({"":1,"a":1,"b":1})");
  kube_.take(node_kind(), "far");  // now there is no place for a witness
  for (const std::string& name : etcd_sets()) kube_.take(stateful_set_kind(), "ns/" + name);
  restart_operator();
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("delete"), 0u);
  EXPECT_EQ(etcd_sets().size(), 3u);
}

TEST_F(EtcdMembershipTest, WithoutItNoServerIsDeleted) {
  take_nodes_of("c");
  kube_.put(node_kind(), {{"metadata", {{"name", "far"}}}});
  make_cluster();
  reconcile();
  kube_.take(config_map_kind(), "ns/shima-etcd-members");
  kube_.take(node_kind(), "far");
  for (const std::string& name : etcd_sets()) kube_.take(stateful_set_kind(), "ns/" + name);
  restart_operator();
  reconcile();
  for (const char* name : {"shima-core-a", "shima-core-b", "shima-access-a"})
    EXPECT_TRUE(stateful_set(name)) << name;
  EXPECT_EQ(kube_.count_calls("delete Service"), 0u);
  EXPECT_EQ(kube_.count_calls("delete ConfigMap"), 0u);
  EXPECT_EQ(condition("SpecAccepted")["status"], "False");
}

TEST_F(EtcdMembershipTest, ThatAWatchDoesNotShowIsAskedFor) {
  make_cluster();
  reconcile();
  kube_.hidden = {"ConfigMap", "StatefulSet"};
  take_nodes_of("a");
  restart_operator();
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("create ConfigMap"), 0u);
  kube_.hidden.clear();
  EXPECT_EQ(etcd_members(), kThreeSites);
  EXPECT_NE(initial_cluster(*stateful_set("shima-etcd-b")).find("shima-etcd-a-0="), std::string::npos);
}

TEST_F(EtcdMembershipTest, ThatCannotBeReadChangesNothingAndIsTold) {
  make_cluster();
  reconcile();
  kube_.edit(config_map_kind(), "ns/shima-etcd-members",
             [](json& record) { record["data"]["members"] = "three"; });
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply StatefulSet") + kube_.count_calls("delete"), 0u);
  const std::string message = condition("SpecAccepted")["message"];
  EXPECT_NE(message.find("shima-etcd-members"), std::string::npos) << message;
}

// Of an operator that did not write it down.
TEST_F(EtcdMembershipTest, OfAClusterInUseIsTakenFromItsStatefulSets) {
  for (const char* site : {"b", "c"}) take_nodes_of(site);
  make_cluster();
  reconcile();
  for (const char* site : {"b", "c"})
    kube_.put(node_kind(), {{"metadata",
                             {{"name", std::string("node-") + site + "0"},
                              {"labels", {{"topology.kubernetes.io/zone", site}}}}}});
  kube_.take(config_map_kind(), "ns/shima-etcd-members");
  set_was_ready();
  restart_operator();
  reconcile();
  EXPECT_EQ(etcd_members(), R"({"a":3})");
}

TEST_F(EtcdMembershipTest, OfAClusterThatNeverWasReadyIsChosenInFull) {
  make_cluster();
  reconcile();
  kube_.take(config_map_kind(), "ns/shima-etcd-members");
  kube_.take(stateful_set_kind(), "ns/shima-etcd-b");
  kube_.take(stateful_set_kind(), "ns/shima-etcd-c");
  restart_operator();
  reconcile();
  EXPECT_EQ(etcd_members(), kThreeSites);
  EXPECT_EQ(etcd_sets(), all_three_);
}

TEST_F(EtcdMembershipTest, OfAClusterInUseIsNotGuessed) {
  make_cluster();
  reconcile();
  kube_.take(config_map_kind(), "ns/shima-etcd-members");
  for (const std::string& name : all_three_) kube_.take(stateful_set_kind(), "ns/" + name);
  set_was_ready();
  restart_operator();
  reconcile();
  EXPECT_EQ(etcd_members(), "none");
  EXPECT_TRUE(etcd_sets().empty());
  EXPECT_TRUE(stateful_set("shima-core-a"));
  const std::string message = condition("SpecAccepted")["message"];
  EXPECT_NE(message.find("has been in use"), std::string::npos) << message;
}

TEST_F(EtcdMembershipTest, IsNotWrittenForOneThatGetsNothing) {
  make_cluster();
  kube_.put(
      shima_cluster_kind(),
      {{"metadata", {{"name", "young"}, {"namespace", "ns"}, {"creationTimestamp", "2026-02-01T00:00:00Z"}}},
       {"spec", (*kube_.get(shima_cluster_kind(), kKey))["spec"]}});
  reconcile("ns/young");
  EXPECT_EQ(etcd_members(), "none");
}

TEST_F(EtcdMembershipTest, ServersOfRemovedSitesGo) {
  make_cluster();
  reconcile();
  take_nodes_of("c");
  kube_.edit(shima_cluster_kind(), kKey,
             [](json& cluster) { cluster["spec"]["topology"]["removedSites"] = json::array({"c"}); });
  reconcile();
  EXPECT_FALSE(stateful_set("shima-core-c"));
  EXPECT_TRUE(stateful_set("shima-core-b"));
  EXPECT_TRUE(stateful_set("shima-etcd-c")) << "a member cannot be moved";
}

class DeletionTest : public ClusterReconcilerTest {
 protected:
  // What Kubernetes' garbage collector does in a foreground deletion, whatever finalizers there are.
  void collect_owned() {
    const std::string uid = text_at(*kube_.get(shima_cluster_kind(), kKey), "/metadata/uid");
    for (const ResourceKind& kind : owned_kinds())
      for (const auto& [key, object] : kube_.all(kind))
        if (is_owned_by(*object, uid)) kube_.take(kind, key);
  }
};

TEST_F(DeletionTest, InTheForegroundLeavesWhatVolumesLiveBy) {
  core_.has_volume = true;
  make_running_cluster();
  ask_for_deletion();
  collect_owned();
  for (const char* site : {"a", "b", "c"})
    for (const char* part : {"shima-core-", "shima-etcd-"}) {
      const std::string name = std::string(part) + site;
      EXPECT_TRUE(stateful_set(name)) << name;
      EXPECT_TRUE(kube_.get(*kind_of({{"apiVersion", "v1"}, {"kind", "Service"}}), "ns/" + name)) << name;
    }
  EXPECT_TRUE(kube_.get(config_map_kind(), "ns/shima-core-a"));
  for (const char* account : {"shima-server", "shima-csi-controller", "shima-csi-node"})
    EXPECT_TRUE(
        kube_.get(*kind_of({{"apiVersion", "v1"}, {"kind", "ServiceAccount"}}), std::string("ns/") + account))
        << account;
  for (const char* site : {"a", "b", "c"}) {
    EXPECT_TRUE(kube_.get(daemon_set_kind(), std::string("ns/shima-csi-mounter-") + site))
        << "mounts of running pods end with it";
    EXPECT_TRUE(stateful_set(std::string("shima-access-") + site)) << "NFS mounts, too";
  }
  EXPECT_TRUE(kube_.get(deployment_kind(), "ns/shima-csi-controller"))
      << "nobody else deletes volumes of claims";
  reconcile();
  EXPECT_EQ(condition("DeletionIsBlocked")["reason"], "VolumesExist");
}

TEST_F(DeletionTest, WithoutCoreServersIsBlockedIfThereMayBeData) {
  make_cluster();
  reconcile();
  set_was_ready();
  ask_for_deletion();
  for (const char* site : {"a", "b", "c"})
    kube_.take(stateful_set_kind(), std::string("ns/shima-core-") + site);
  restart_operator();
  reconcile();
  EXPECT_EQ(condition("DeletionIsBlocked")["reason"], "VolumesNotKnown");
  EXPECT_TRUE(stateful_set("shima-core-a")) << "they are made again, so that they can tell";
}

TEST_F(DeletionTest, WithoutCoreServersIsBlockedByAShimaVolume) {
  core_.has_volume = true;
  make_running_cluster();
  ASSERT_TRUE(kube_.get(shima_volume_kind(), "ns/vm1"));
  for (const char* site : {"a", "b", "c"})
    kube_.take(stateful_set_kind(), std::string("ns/shima-core-") + site);
  kube_.edit(shima_cluster_kind(), kKey, [](json& cluster) { cluster["status"]["wasReady"] = false; });
  restart_operator();
  ask_for_deletion();
  reconcile();
  EXPECT_EQ(condition("DeletionIsBlocked")["status"], "True");
}

// The way back that docs/howto/kubernetes.md tells.
TEST_F(DeletionTest, OfWhichTheFinalizerIsTakenAwayLeavesAllToTheNextOfItsName) {
  core_.has_volume = true;
  make_running_cluster();
  ask_for_deletion();
  reconcile();
  ASSERT_EQ(condition("DeletionIsBlocked")["status"], "True");
  const std::string members = etcd_members();
  const ObjectMap sets = kube_.all(stateful_set_kind());
  const ResourceKind class_kind = *kind_of({{"apiVersion", "storage.k8s.io/v1"}, {"kind", "StorageClass"}});
  ASSERT_EQ(kube_.all(class_kind).size(), 1u);
  collect_owned();
  ASSERT_TRUE(
      kube_.merge_patch(shima_cluster_kind(), "ns", "shima", {{"metadata", {{"finalizers", nullptr}}}}));
  ASSERT_FALSE(kube_.get(shima_cluster_kind(), kKey));
  reconcile();
  make_cluster();
  kube_.calls.clear();
  for (int i = 0; i < 3; ++i) reconcile();
  EXPECT_EQ(kube_.count_calls("delete"), 0u);
  EXPECT_EQ(etcd_members(), members);
  EXPECT_EQ(kube_.all(class_kind).size(), 1u);
  for (const auto& [key, set] : kube_.all(stateful_set_kind())) {
    ASSERT_TRUE(sets.contains(key)) << key;
    EXPECT_EQ((*set)["metadata"]["uid"], (*sets.at(key))["metadata"]["uid"]) << key;
    const bool is_same = (*set)["spec"] == (*sets.at(key))["spec"];
    EXPECT_EQ(is_same, !key.starts_with("ns/shima-etcd")) << key << ": etcd's token has the uid in it";
  }
}

TEST_F(DeletionTest, OfOneThatNeverCameToBeIsNotBlocked) {
  make_cluster();
  kube_.refusals["apply StatefulSet"] = Status(Code::kPermissionDenied, "cannot patch statefulsets");
  reconcile();
  ask_for_deletion();
  for (int i = 0; i < 10 && kube_.get(shima_cluster_kind(), kKey); ++i) reconcile();
  EXPECT_FALSE(kube_.get(shima_cluster_kind(), kKey));
  EXPECT_EQ(etcd_members(), "none") << "or the next cluster of this name would not be free to choose";
}

TEST_F(DeletionTest, WaitsForKindsThatNobodyHasListedYet) {
  make_running_cluster();
  for (const char* kind : {"StorageClass", "ClusterRole"}) {
    kube_.unwatched[kind] = Status::ok();
    ask_for_deletion();
    for (int i = 0; i < 6; ++i) {
      hear_core_servers();
      reconcile();
    }
    ASSERT_TRUE(kube_.get(shima_cluster_kind(), kKey)) << kind << " may be left behind";
    if (kind == std::string("StorageClass")) {
      EXPECT_TRUE(stateful_set("shima-core-a")) << "somebody may still make a volume";
    }
    kube_.unwatched.clear();
  }
  // Optional kinds are of what has an owner.
  kube_.unwatched["ServiceMonitor"] = Status::ok();
  for (int i = 0; i < 10 && kube_.get(shima_cluster_kind(), kKey); ++i) {
    hear_core_servers();
    reconcile();
  }
  EXPECT_FALSE(kube_.get(shima_cluster_kind(), kKey));
}

TEST_F(DeletionTest, TakesTheServersAndGoesOnAfterARestart) {
  make_running_cluster();
  set_was_ready();
  ask_for_deletion();
  kube_.refusals["patch ShimaCluster"] = Status(Code::kUnavailable, "connection refused");
  for (int i = 0; i < 4; ++i) {
    hear_core_servers();
    reconcile();
  }
  EXPECT_TRUE(stateful_set("shima-core-a")) << "that they go was not written down yet";
  kube_.refusals.clear();
  for (int i = 0; i < 10 && stateful_set("shima-core-a"); ++i) {
    hear_core_servers();
    reconcile();
  }
  ASSERT_TRUE(kube_.get(shima_cluster_kind(), kKey)) << "the finalizer is the last";
  restart_operator();
  kube_.calls.clear();
  for (int i = 0; i < 10 && kube_.get(shima_cluster_kind(), kKey); ++i) reconcile();
  EXPECT_FALSE(kube_.get(shima_cluster_kind(), kKey));
  EXPECT_EQ(kube_.count_calls("apply "), 0u) << "nothing is made again";
  EXPECT_EQ(etcd_members(), "none");
  EXPECT_TRUE(kube_.all(stateful_set_kind()).empty());
  EXPECT_TRUE(kube_.all(daemon_set_kind()).empty());
  EXPECT_TRUE(kube_.all(deployment_kind()).empty());
}

}  // namespace
}  // namespace shima
