#include "operator/reconcile/found_objects.h"

#include <gtest/gtest.h>

#include "operator/desired/desired_objects.h"
#include "operator/desired/inputs_reading.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"
#include "operator/reconcile/unwanted_objects.h"

namespace shima {
namespace {

using nlohmann::json;

const ClusterIdentity kCluster{"ns", "shima", "uid-1"};

ObjectPointer pointer(json object) { return std::make_shared<const json>(std::move(object)); }

json stateful_set(const std::string& site, int replicas, int ready) {
  json set =
      namespaced_object(kCluster, {"apps/v1", "StatefulSet"}, "shima-core-" + site, {kCoreComponent, site});
  set["spec"] = {{"replicas", replicas}};
  set["status"] = {{"readyReplicas", ready}, {"updateRevision", "new"}};
  return set;
}

json pod(const std::string& site, int ordinal, const std::string& revision) {
  const std::string set = "shima-core-" + site;
  json labels = object_labels(kCluster, {kCoreComponent, site});
  labels["controller-revision-hash"] = revision;
  labels["apps.kubernetes.io/pod-index"] = std::to_string(ordinal);
  return {{"metadata",
           {{"name", set + "-" + std::to_string(ordinal)},
            {"namespace", "ns"},
            {"labels", labels},
            {"ownerReferences", json::array({{{"kind", "StatefulSet"}, {"name", set}, {"uid", "s"}}})}}},
          {"status", {{"conditions", json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
}

TEST(FoundObjects, PodsSayWhetherTheyRunTheNewestRevision) {
  FoundObjects found{.stateful_sets = {pointer(stateful_set("a", 2, 2))},
                     .pods = {pointer(pod("a", 0, "old")), pointer(pod("a", 1, "new"))}};
  const auto pods = server_pods(found, kCoreComponent);
  ASSERT_EQ(pods.size(), 2u);
  EXPECT_EQ(pods[0].name, "shima-core-a-0");
  EXPECT_EQ(pods[0].site, "a");
  EXPECT_FALSE(pods[0].up_to_date);
  EXPECT_TRUE(pods[0].ready);
  EXPECT_EQ(pods[1].ordinal, 1u);
  EXPECT_TRUE(pods[1].up_to_date);
  EXPECT_TRUE(server_pods(found, kEtcdComponent).empty());
}

TEST(FoundObjects, APodThatIsEndingOrNotReadySaysSo) {
  json ending = pod("a", 0, "new");
  ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  ending["status"]["conditions"][0]["status"] = "False";
  const auto pods = server_pods(
      {.stateful_sets = {pointer(stateful_set("a", 1, 0))}, .pods = {pointer(ending)}}, kCoreComponent);
  ASSERT_EQ(pods.size(), 1u);
  EXPECT_TRUE(pods[0].ending);
  EXPECT_FALSE(pods[0].ready);
}

TEST(FoundObjects, APodOfNoStatefulSetOfOursIsPassedOver) {
  EXPECT_TRUE(server_pods({.pods = {pointer(pod("a", 0, "new"))}}, kCoreComponent).empty());
}

TEST(FoundObjects, WorkloadsCountWhatIsReady) {
  json daemons =
      namespaced_object(kCluster, {"apps/v1", "DaemonSet"}, "shima-csi-node-a", {kCsiNodeComponent, "a"});
  daemons["metadata"]["generation"] = 1;
  daemons["status"] = {{"desiredNumberScheduled", 3}, {"numberReady", 2}, {"observedGeneration", 1}};
  const auto views = workload_views(
      {.stateful_sets = {pointer(stateful_set("a", 2, 1))}, .daemon_sets = {pointer(daemons)}});
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].component, Component::kCoreServers);
  EXPECT_EQ(views[0].site, "a");
  EXPECT_EQ(views[0].wanted, 2u);
  EXPECT_EQ(views[0].ready, 1u);
  EXPECT_EQ(views[1].component, Component::kCsi);
  EXPECT_EQ(views[1].wanted, 3u);
  EXPECT_EQ(views[1].ready, 2u);
}

TEST(FoundObjects, AWorkloadThatIsNotReadySaysWhatItsPodsSay) {
  json stuck = pod("a", 1, "new");
  stuck["status"] = {{"conditions", json::array({{{"type", "PodScheduled"},
                                                  {"status", "False"},
                                                  {"message", "persistentvolumeclaim \"d\" not found"}}})}};
  trim_pod(stuck);
  json evicted = pod("a", 0, "old");
  evicted["status"] = {{"phase", "Failed"}};
  FoundObjects found{.stateful_sets = {pointer(stateful_set("a", 2, 1)), pointer(stateful_set("b", 2, 2))},
                     .pods = {pointer(evicted), pointer(pod("a", 0, "new")), pointer(stuck)}};
  const auto views = workload_views(found);
  EXPECT_EQ(views[0].why, "shima-core-a-1: persistentvolumeclaim \"d\" not found");
  EXPECT_EQ(views[1].why, "") << "all are ready";
  found.pods.pop_back();
  json seen = stateful_set("a", 2, 1);
  seen["status"]["observedGeneration"] = 1;
  found.stateful_sets[0] = pointer(seen);
  EXPECT_EQ(workload_views(found)[0].why,
            "only 1 of 2 pods have been made: `kubectl describe statefulset shima-core-a` says why (quota, "
            "admission)");
}

TEST(FoundObjects, CountMountersThatRunAnOlderVersion) {
  json mounters = namespaced_object(kCluster, {"apps/v1", "DaemonSet"}, "m", {kCsiMounterComponent, "a"});
  mounters["metadata"]["generation"] = 2;
  mounters["status"] = {{"desiredNumberScheduled", 3},
                        {"numberReady", 3},
                        {"updatedNumberScheduled", 1},
                        {"observedGeneration", 2}};
  json plugins = mounters;
  plugins["metadata"]["labels"][kComponentLabel] = kCsiNodeComponent;
  const auto views = workload_views({.daemon_sets = {pointer(mounters), pointer(plugins)}});
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].old_mounters, 2u);
  EXPECT_EQ(views[1].old_mounters, 0u) << "those roll by themselves";
  mounters["status"]["observedGeneration"] = 1;
  EXPECT_EQ(workload_views({.daemon_sets = {pointer(mounters)}})[0].old_mounters, 0u) << "of an older spec";
}

TEST(FoundObjects, ADaemonSetThatItsControllerHasNotSeenIsNotReady) {
  json daemons = namespaced_object(kCluster, {"apps/v1", "DaemonSet"}, "d", {kCsiNodeComponent, "a"});
  daemons["metadata"]["generation"] = 1;
  const auto views = workload_views({.daemon_sets = {pointer(daemons)}});
  ASSERT_EQ(views.size(), 1u);
  EXPECT_GT(views[0].wanted, views[0].ready);
}

TEST(FoundObjects, CoreServersAreReachedByTheirStableNames) {
  const auto endpoints = core_endpoints({.stateful_sets = {pointer(stateful_set("a", 2, 0))}}, "ns");
  EXPECT_EQ(endpoints, (std::vector<std::string>{"shima-core-a-0.shima-core-a.ns.svc:7000",
                                                 "shima-core-a-1.shima-core-a.ns.svc:7000"}));
}

TEST(FoundObjects, WhatIsTrimmedFromANodeIsNotMissed) {
  json node{
      {"metadata", {{"name", "n"}, {"labels", {{"zone", "a"}}}, {"annotations", {{"big", "text"}}}}},
      {"spec",
       {{"unschedulable", true},
        {"podCIDR", "10.0.0.0/24"},
        {"taints", json::array({{{"key", "node.kubernetes.io/out-of-service"}}})}}},
      {"status",
       {{"addresses", json::array({{{"type", "InternalIP"}, {"address", "10.0.0.1"}}})},
        {"images", json::array({"many"})},
        {"conditions", json::array({{{"type", "Ready"}, {"status", "True"}, {"lastHeartbeatTime", "now"}},
                                    {{"type", "DiskPressure"}, {"status", "False"}}})}}}};
  const NodeView before = read_node(node);
  trim_node(node);
  const NodeView after = read_node(node);
  EXPECT_EQ(after.labels, before.labels);
  EXPECT_EQ(after.internal_addresses, before.internal_addresses);
  EXPECT_TRUE(after.ready && after.unschedulable && after.out_of_service);
  EXPECT_EQ(node.dump().find("lastHeartbeatTime"), std::string::npos) << "it changes all the time";
  EXPECT_EQ(node.dump().find("images"), std::string::npos);
}

TEST(FoundObjects, AClusterThatWasMadeAgainDoesNotInheritByItsName) {
  const json set = stateful_set("a", 2, 2);
  EXPECT_TRUE(belongs_to(set, kCluster));
  EXPECT_FALSE(belongs_to(set, {"ns", "shima", "uid-2"}));
  EXPECT_FALSE(belongs_to(set, {"other", "shima", "uid-1"}));
  EXPECT_FALSE(belongs_to(set, {"ns", "other", "uid-1"}));
}

TEST(FoundObjects, WhatIsWantedAndNotThereIsNotReady) {
  const std::vector<json> wanted{stateful_set("a", 2, 0), stateful_set("b", 2, 0),
                                 namespaced_object(kCluster, {"v1", "Service"}, "s", {kCoreComponent, "a"})};
  const auto missing = missing_workloads(wanted, workload_views({.stateful_sets = {pointer(wanted[0])}}));
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].name, "shima-core-b");
  EXPECT_EQ(missing[0].wanted, 2u);
  EXPECT_EQ(missing[0].ready, 0u);
}

TEST(ResourceKinds, EveryKindThatIsMadeIsKnown) {
  const auto spec =
      read_cluster_spec({{"coreServers", {{"disks", json::array({{{"hostPath", "/srv/shima"}}})}}},
                         {"etcd", {{"data", {{"hostPath", "/srv/etcd"}}}}},
                         {"storageClasses", json::array({{{"name", "shima"}}})}});
  ASSERT_TRUE(spec) << spec.status().message();
  std::vector<NodeView> nodes;
  for (const char* name : {"a1", "a2", "a3", "a4"})
    nodes.push_back({.name = name, .labels = {{"topology.kubernetes.io/zone", "a"}}, .ready = true});
  ObservedCluster observed;
  for (const ResourceKind& kind : optional_kinds()) observed.api_kinds.insert(kind_key(kind));
  std::set<std::string> kinds;
  for (const json& object : desired_objects(kCluster, *spec, nodes, observed).objects) {
    kinds.insert(text_at(object, "/kind"));
    const ResourceKind* kind = kind_of(object);
    ASSERT_NE(kind, nullptr) << object.dump();
    EXPECT_EQ(kind->namespaced, !namespace_of(object).empty()) << told_object(object);
  }
  EXPECT_TRUE(kinds.contains("StatefulSet") && kinds.contains("ServiceMonitor") &&
              kinds.contains("PersistentVolume"))
      << json(kinds);
}

TEST(UnwantedObjects, OnlyWhatIsOursAndNotWantedGoes) {
  json foreign = stateful_set("foreign", 1, 1);
  foreign["metadata"]["labels"].erase(kManagedByLabel);
  json ending = stateful_set("ending", 1, 1);
  ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  const ObjectMap found{{"ns/shima-core-a", pointer(stateful_set("a", 1, 1))},
                        {"ns/shima-core-b", pointer(stateful_set("b", 1, 1))},
                        {"ns/shima-core-foreign", pointer(foreign)},
                        {"ns/shima-core-ending", pointer(ending)}};
  const auto gone = unwanted_objects(found, {"ns/shima-core-a"}, kCluster);
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(name_of(*gone[0]), "shima-core-b");
}

TEST(UnwantedObjects, WhatStandsForDataStays) {
  json volume = cluster_wide_object(kCluster, {"v1", "PersistentVolume"}, "pv", {kCoreComponent, "a"});
  const ObjectMap plain{{"pv", pointer(volume)}};
  EXPECT_EQ(unwanted_objects(plain, {}, kCluster).size(), 1u);
  volume["metadata"]["labels"][kKeepLabel] = kKeepValue;
  EXPECT_TRUE(unwanted_objects({{"pv", pointer(volume)}}, {}, kCluster).empty());
}

}  // namespace
}  // namespace shima
