// What goes on, and what a person is told, while the API server refuses something or lists are not there.
#include "common/kubernetes/watch_lines.h"
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

constexpr uint64_t kNewsMs = 11'000;  // so long something lasts that is worth telling

class RefusedAndUnknownTest : public ClusterReconcilerTest {
 protected:
  // Core servers are to restart, and none may.
  void make_upgrading_cluster() {
    make_running_cluster();
    kube_.refusals["evict"] = Status(Code::kUnavailable, "it would violate the pod's disruption budget");
    for (const auto& [key, set] : kube_.all(stateful_set_kind()))
      kube_.edit(stateful_set_kind(), key, [](json& object) { object["status"]["updateRevision"] = "two"; });
    reconcile();
    ASSERT_EQ(condition("Upgrading")["status"], "True");
  }
  json status() { return kube_.get(shima_cluster_kind(), kKey)->value("status", json::object()); }
  // All but ObjectsApplied.
  json other_conditions() {
    json others = json::object();
    for (const json& each : status().value("conditions", json::array()))
      if (each["type"] != "ObjectsApplied") others[each["type"].get<std::string>()] = each;
    return others;
  }
  std::string objects_applied() { return condition("ObjectsApplied").value("message", ""); }
  std::vector<std::string> event_reasons() {
    std::vector<std::string> reasons;
    for (const auto& [key, event] : kube_.all(event_kind())) reasons.push_back(text_at(*event, "/reason"));
    return reasons;
  }
};

TEST_F(RefusedAndUnknownTest, AWebhookThatIsAwayHoldsUpItsKindAlone) {
  make_cluster();
  kube_.refusals["apply ServiceAccount"] = status_of_answer(
      500, R"({"kind":"Status","reason":"InternalError","message":"failed calling webhook \"policy\""})",
      "PATCH /api/v1/namespaces/ns/serviceaccounts/shima-server");
  EXPECT_FALSE(reconcile().failed);
  EXPECT_TRUE(stateful_set("shima-core-c")) << "all that comes after it is applied";
  EXPECT_NE(objects_applied().find("failed calling webhook \"policy\""), std::string::npos)
      << objects_applied();
  const size_t tried = kube_.count_calls("apply ServiceAccount");
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply ServiceAccount"), tried) << "after a pause";
  kube_.refusals.clear();
  clock_.pass_ms(2'000);
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply ServiceAccount"), 2 * tried);
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True") << objects_applied();
}

TEST_F(RefusedAndUnknownTest, AMemberThatDoesNotServeGoesAlsoIfItsEvictionFails) {
  make_running_cluster();
  kube_.edit(pod_kind(), "ns/shima-etcd-a-0",
             [](json& pod) { pod["status"]["conditions"][0]["status"] = "False"; });
  kube_.edit(stateful_set_kind(), "ns/shima-etcd-a",
             [](json& set) { set["status"]["updateRevision"] = "two"; });
  kube_.refusals["evict"] = Status(Code::kInternal, "This pod has more than one PodDisruptionBudget");
  reconcile();
  EXPECT_FALSE(kube_.get(pod_kind(), "ns/shima-etcd-a-0"));
}

TEST_F(RefusedAndUnknownTest, WhatEndsEachLookForAWhileIsToldIfTheStatusCanBeWritten) {
  make_running_cluster();
  kube_.edit(*kind_of({{"apiVersion", "v1"}, {"kind", "ServiceAccount"}}), "ns/shima-server",
             [](json& account) { account["automountServiceAccountToken"] = true; });
  kube_.refusals["apply ServiceAccount"] = Status(Code::kUnavailable, "no whole answer in time");
  kube_.calls.clear();
  EXPECT_TRUE(reconcile().failed);
  EXPECT_EQ(kube_.count_calls("apply_status"), 0u) << "an API server that is away for a moment is no news";
  clock_.pass_ms(kNewsMs);
  EXPECT_TRUE(reconcile().failed) << "what comes after it waits";
  EXPECT_EQ(condition("ObjectsApplied")["status"], "False");
  EXPECT_NE(objects_applied().find("no whole answer in time"), std::string::npos) << objects_applied();
  EXPECT_EQ(kube_.count_calls("create Event"), 1u) << "NotObjectsApplied";
  kube_.refusals.clear();
  EXPECT_FALSE(reconcile().failed);
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True");
}

TEST_F(RefusedAndUnknownTest, AnotherOperatorThatWaitsForAListChangesNothingThatWasTold) {
  make_upgrading_cluster();
  const json before = status(), others = other_conditions();
  restart_operator();
  kube_.unwatched["Pod"] = Status(Code::kUnavailable, "connection refused");
  kube_.calls.clear();
  reconcile();
  EXPECT_TRUE(kube_.calls.empty()) << "a start takes a moment; " << kube_.calls.front();
  clock_.pass_ms(kNewsMs);
  reconcile();
  EXPECT_EQ(condition("ObjectsApplied")["reason"], "Waiting");
  EXPECT_EQ(objects_applied(), "waiting for the list of pods: connection refused");
  EXPECT_EQ(other_conditions(), others);
  for (const char* field : {"phase", "sites", "volumes", "wasReady"})
    EXPECT_EQ(status()[field], before[field]) << field;
  for (const std::string& reason : event_reasons())
    EXPECT_TRUE(reason != "Upgraded" && reason != "NotSitesMapped") << reason;
  kube_.unwatched.clear();
  reconcile();
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True");
}

TEST_F(RefusedAndUnknownTest, ADefinitionThatIsMissingIsToldOfANewCluster) {
  make_cluster();
  kube_.unwatched["ShimaVolume"] = Status(Code::kNotFound, "the API server answered 404");
  reconcile();
  clock_.pass_ms(kNewsMs);
  reconcile();
  EXPECT_EQ(objects_applied(), "waiting for the list of shimavolumes: the API server answered 404");
  EXPECT_EQ(status()["phase"], "Creating");
  EXPECT_TRUE(other_conditions().empty()) << other_conditions();
}

TEST_F(RefusedAndUnknownTest, AnotherOperatorThatCannotReadTheSpecTellsSitesAndUpgradeAsBefore) {
  make_upgrading_cluster();
  const json before = status(), upgrading = condition("Upgrading"), mapped = condition("SitesMapped");
  restart_operator();
  kube_.edit(shima_cluster_kind(), kKey,
             [](json& cluster) { cluster["spec"]["coreServers"]["perSite"] = "two"; });
  reconcile();
  EXPECT_EQ(condition("SpecAccepted")["status"], "False");
  EXPECT_EQ(condition("SitesMapped"), mapped);
  EXPECT_EQ(condition("Upgrading"), upgrading);
  EXPECT_EQ(status()["sites"], before["sites"]);
  EXPECT_EQ(status()["phase"], "Upgrading");
}

TEST_F(RefusedAndUnknownTest, AnUpgradeIsNotOverBecauseARecordCannotBeRead) {
  make_upgrading_cluster();
  kube_.hidden.insert("ConfigMap");
  kube_.refusals["get ConfigMap"] = Status(Code::kPermissionDenied, "forbidden");
  reconcile();
  EXPECT_EQ(condition("ObjectsApplied")["status"], "False");
  EXPECT_EQ(condition("Upgrading")["status"], "True");
  for (const std::string& reason : event_reasons()) EXPECT_NE(reason, "Upgraded");
}

TEST_F(RefusedAndUnknownTest, NobodySaysThatNoCoreServersAreAskedForWhereTheyCannotBePlanned) {
  make_cluster();
  set_was_ready();  // and its etcd's record is gone
  reconcile();
  EXPECT_EQ(condition("SpecAccepted")["status"], "False");
  EXPECT_TRUE(condition("CoreServersReady").is_null()) << condition("CoreServersReady");
}

// What is made without it could be deleted in a moment, with nobody to ask for volumes.
TEST_F(RefusedAndUnknownTest, NothingIsMadeOfAClusterThatTakesNoFinalizer) {
  make_cluster();
  kube_.refusals["patch ShimaCluster"] = Status(Code::kInternal, "failed calling webhook");
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply StatefulSet"), 0u);
  EXPECT_NE(objects_applied().find("add the finalizer: failed calling webhook"), std::string::npos)
      << objects_applied();
  kube_.refusals.clear();
  reconcile();
  EXPECT_GT(kube_.count_calls("apply StatefulSet"), 0u);
}

TEST_F(RefusedAndUnknownTest, ARefusedNodeEndsTheLabellingOfThisLook) {
  make_cluster();
  kube_.refusals["patch Node"] = Status(Code::kInternal, "failed calling webhook");
  reconcile();
  EXPECT_EQ(kube_.count_calls("patch Node"), 1u);
}

TEST_F(RefusedAndUnknownTest, OnlyAMissingRightIsCalledOne) {
  const struct {
    const char* words;
    bool is_right;
  } answers[] = {
      {R"(the API server answered 403 to PATCH /x: pods is forbidden: User "system:serviceaccount:shima-system:shima-operator" cannot patch resource "pods" in API group "")",
       true},
      {R"(roles is forbidden: user "x" (groups=["y"]) is attempting to grant RBAC permissions not currently held:)",
       true},
      {R"(services "shima" is forbidden: exceeded quota: q, requested: services=1)", false},
      {R"(configmaps "x" is forbidden: unable to create new content in namespace ns because it is being terminated)",
       false},
      {R"(admission webhook "policy" denied the request: no)", false},
      {"the API server answered 401 to PATCH /x: Unauthorized", false}};
  for (const auto& each : answers) {
    restart_operator();
    make_cluster();
    kube_.refusals["apply ServiceAccount"] = Status(Code::kPermissionDenied, each.words);
    reconcile();
    const std::string told = objects_applied();
    EXPECT_NE(told.find(each.words), std::string::npos) << told;
    EXPECT_EQ(told.find("give the operator's ServiceAccount this right") != std::string::npos, each.is_right)
        << told;
  }
}

}  // namespace
}  // namespace shima
