#include "operator/reconcile/component_order.h"

#include <gtest/gtest.h>

#include "operator/desired/object_labels.h"
#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

const ClusterIdentity kCluster{"ns", "shima", "uid-1"};
constexpr const char* kOld = "shima/shima:0.1.0";
constexpr const char* kNew = "shima/shima:0.2.0";

json workload(const std::string& kind, const std::string& name, const char* component,
              const std::string& image) {
  json object = namespaced_object(kCluster, {"apps/v1", kind.c_str()}, name, {component, "a"});
  object["spec"]["template"]["spec"] = {
      {"initContainers", json::array({{{"name", "prepare"}, {"image", image}}})},
      {"containers",
       json::array({{{"name", "main"}, {"image", image}}, {{"name", "sidecar"}, {"image", "other:1"}}})}};
  return object;
}

std::vector<json> wanted(const std::string& image) {
  return {workload("StatefulSet", "shima-core-a", kCoreComponent, image),
          workload("StatefulSet", "shima-access-a", kAccessComponent, image),
          workload("Deployment", "shima-csi-controller", kCsiControllerComponent, image),
          workload("DaemonSet", "shima-csi-node-a", kCsiNodeComponent, image),
          workload("DaemonSet", "shima-csi-mounter-a", kCsiMounterComponent, image)};
}

json core_pod(int ordinal, const std::string& revision) {
  json labels = object_labels(kCluster, {kCoreComponent, "a"});
  labels["controller-revision-hash"] = revision;
  return {{"metadata",
           {{"name", "shima-core-a-" + std::to_string(ordinal)},
            {"namespace", "ns"},
            {"labels", labels},
            {"ownerReferences",
             json::array({{{"kind", "StatefulSet"}, {"name", "shima-core-a"}, {"uid", "s"}}})}}}};
}

// What runs: the core servers' set asks for `core_image`, its pods are of these revisions ("2" is the
// newest).
FoundObjects running(const std::string& core_image, const std::vector<std::string>& revisions,
                     int observed = 2) {
  FoundObjects found;
  for (json object : wanted(kOld)) {
    if (name_of(object) == "shima-core-a") {
      object = workload("StatefulSet", "shima-core-a", kCoreComponent, core_image);
      object["metadata"]["generation"] = 2;
      object["status"] = {{"observedGeneration", observed}, {"updateRevision", "2"}};
    }
    auto shared = std::make_shared<const json>(std::move(object));
    const std::string kind = text_at(*shared, "/kind");
    (kind == "StatefulSet"  ? found.stateful_sets
     : kind == "Deployment" ? found.deployments
                            : found.daemon_sets)
        .push_back(shared);
  }
  int ordinal = 0;
  for (const std::string& revision : revisions)
    found.pods.push_back(std::make_shared<const json>(core_pod(ordinal++, revision)));
  return found;
}

std::string image_of(const json& object, const char* list = "containers") {
  return text_at(object["spec"]["template"]["spec"][list][0], "/image");
}

const std::vector<std::string> kLater{"shima-access-a", "shima-csi-controller", "shima-csi-node-a",
                                      "shima-csi-mounter-a"};

TEST(ComponentOrder, CoreServersGetTheNewImageFirst) {
  auto objects = wanted(kNew);
  EXPECT_EQ(hold_later_components(objects, running(kOld, {"1", "1"})), kLater);
  EXPECT_EQ(image_of(objects[0]), kNew);
  for (size_t i = 1; i < objects.size(); ++i) {
    EXPECT_EQ(image_of(objects[i]), kOld);
    EXPECT_EQ(image_of(objects[i], "initContainers"), kOld);
    EXPECT_EQ(objects[i]["spec"]["template"]["spec"]["containers"][1]["image"], "other:1") << "not ours";
  }
}

TEST(ComponentOrder, OthersFollowWhenTheLastCoreServerHasIt) {
  auto objects = wanted(kNew);
  EXPECT_EQ(hold_later_components(objects, running(kNew, {"2", "1"})), kLater);
  objects = wanted(kNew);
  EXPECT_TRUE(hold_later_components(objects, running(kNew, {"2", "2"})).empty());
  EXPECT_EQ(objects, wanted(kNew));
}

TEST(ComponentOrder, AStatusThatLagsBehindTheTemplateCountsAsOld) {
  auto objects = wanted(kNew);
  EXPECT_EQ(hold_later_components(objects, running(kNew, {"2", "2"}, 1)), kLater);
}

// One that comes back gets the newest revision, so nothing has to wait for it: its host may be gone for ever.
TEST(ComponentOrder, AMissingPodHoldsNothing) {
  auto objects = wanted(kNew);
  EXPECT_TRUE(hold_later_components(objects, running(kNew, {"2"})).empty());
}

TEST(ComponentOrder, WhatIsNotThereYetIsMadeWithTheNewImage) {
  auto objects = wanted(kNew);
  FoundObjects found = running(kOld, {"1", "1"});
  found.deployments.clear();
  EXPECT_EQ(hold_later_components(objects, found),
            (std::vector<std::string>{"shima-access-a", "shima-csi-node-a", "shima-csi-mounter-a"}));
  EXPECT_EQ(image_of(objects[2]), kNew);
}

TEST(ComponentOrder, CoreServersOfARemovedSiteAreNotWaitedFor) {
  auto objects = wanted(kNew);
  EXPECT_TRUE(hold_later_components(objects, running(kNew, {"2", "1"}), {"a"}).empty());
  EXPECT_EQ(objects, wanted(kNew));
}

// An old program ends at an option that it does not know, and with one server a site nobody is left.
TEST(ComponentOrder, WhatWaitsKeepsAllThatItsPodsAreMadeBy) {
  auto objects = wanted(kNew);
  for (json& object : objects) {
    object["spec"]["replicas"] = 3;
    json& pods = object["spec"]["template"];
    pods["metadata"]["annotations"] = {{"new", "1"}};
    pods["spec"]["volumes"] = json::array({{{"name", "new"}}});
    pods["spec"]["containers"][0]["args"] = json::array({"--new-option=1"});
    pods["spec"]["containers"].push_back({{"name", "new"}, {"image", kNew}});
  }
  FoundObjects found = running(kOld, {"1", "1"});
  for (auto* list : {&found.stateful_sets, &found.deployments, &found.daemon_sets})
    for (ObjectPointer& each : *list) {
      json object = *each;
      object["spec"]["template"]["metadata"] = {{"creationTimestamp", nullptr}, {"labels", {{"l", "1"}}}};
      object["spec"]["template"]["spec"]["containers"][0]["args"] = json::array({"--old-option=1"});
      each = std::make_shared<const json>(std::move(object));
    }
  EXPECT_EQ(hold_later_components(objects, found), kLater);
  json old_template = wanted(kOld)[1]["spec"]["template"];
  old_template["metadata"] = {{"labels", {{"l", "1"}}}};
  old_template["spec"]["containers"][0]["args"] = json::array({"--old-option=1"});
  for (size_t i = 1; i < objects.size(); ++i) {
    EXPECT_EQ(objects[i]["spec"]["template"], old_template) << name_of(objects[i]);
    EXPECT_EQ(objects[i]["spec"]["replicas"], 3) << "not of its pods";
  }
  EXPECT_EQ(objects[0]["spec"]["template"]["spec"]["containers"][0]["args"][0], "--new-option=1");
}

TEST(ComponentOrder, AHeldStatefulSetKeepsItsNodeSelectorSoThatItsPodsRestartOnce) {
  auto objects = wanted(kNew);
  for (json& object : objects) object["spec"]["template"]["spec"]["nodeSelector"] = {{"new", "a"}};
  FoundObjects found = running(kOld, {"1", "1"});
  for (auto* list : {&found.stateful_sets, &found.daemon_sets})
    for (ObjectPointer& each : *list) {
      json object = *each;
      object["spec"]["template"]["spec"]["nodeSelector"] = {{"old", "a"}};
      each = std::make_shared<const json>(std::move(object));
    }
  hold_later_components(objects, found);
  const auto selector = [&](size_t i) { return objects[i]["spec"]["template"]["spec"]["nodeSelector"]; };
  EXPECT_EQ(selector(0), json({{"new", "a"}})) << "core servers do not wait";
  EXPECT_EQ(selector(1), json({{"old", "a"}}));
  EXPECT_EQ(selector(3), json({{"new", "a"}})) << "a DaemonSet's goes by its nodes' labels";
}

TEST(ComponentOrder, ANewClusterHoldsNothing) {
  auto objects = wanted(kNew);
  EXPECT_TRUE(hold_later_components(objects, {}).empty());
  EXPECT_EQ(objects, wanted(kNew));
}

// An upgrade of core servers' options restarts them, and is nothing that others have to wait for.
TEST(ComponentOrder, WithTheSameImageNothingChanges) {
  auto objects = wanted(kOld);
  EXPECT_TRUE(hold_later_components(objects, running(kOld, {"2", "1"})).empty());
  EXPECT_EQ(objects, wanted(kOld));
}

}  // namespace
}  // namespace shima
