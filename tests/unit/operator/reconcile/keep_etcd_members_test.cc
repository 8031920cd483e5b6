// Marks of etcd's members, and the replacement of one, a step a look.
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

class KeepEtcdMembersTest : public ClusterReconcilerTest {
 protected:
  // Three members that have begun.
  void begin() {
    make_cluster();
    reconcile();
    run_pods("one");
    for (const char* site : {"a", "b", "c"}) {
      put_claim(site, std::string("claim-") + site);
      etcd_.members.push_back({static_cast<uint64_t>(site[0]), pod(site), {url(site)}});
    }
    reconcile();
    reconcile();
  }
  static std::string pod(const std::string& site) { return "shima-etcd-" + site + "-0"; }
  static std::string url(const std::string& site) {
    return "http://" + pod(site) + ".shima-etcd-" + site + ".ns.svc:2380";
  }
  void put_claim(const std::string& site, const std::string& uid) {
    kube_.put(claim_kind(), {{"metadata",
                              {{"name", "data-" + pod(site)},
                               {"namespace", "ns"},
                               {"uid", uid},
                               {"creationTimestamp", claims_made_}}}});
  }
  void date_record() {
    kube_.edit(config_map_kind(), "ns/shima-etcd-begun",
               [](json& record) { record["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"; });
  }
  // Its pod is another one, which the guard holds back.
  void lose(const std::string& site) {
    kube_.take(pod_kind(), "ns/" + pod(site));
    put_claim(site, "new-" + site);
  }
  std::string events() {
    std::string notes;
    for (const auto& [key, event] : kube_.all(event_kind())) notes += text_at(*event, "/note") + "\n";
    return notes;
  }
  std::string claims_made_ = "2026-01-01T00:00:00Z";
  std::string mark(const std::string& key) {
    const ObjectPointer record = kube_.get(config_map_kind(), "ns/shima-etcd-begun");
    return record ? text_at(*record, "/data/" + key) : "none";
  }
};

TEST_F(KeepEtcdMembersTest, TheRecordIsThereBeforeAnyMember) {
  make_cluster();
  reconcile();
  EXPECT_EQ(mark("initial-cluster-state"), "new");
  const auto& calls = kube_.calls;
  const auto record = std::find(calls.begin(), calls.end(), "create ConfigMap shima-etcd-begun");
  const auto set = std::find(calls.begin(), calls.end(), "apply StatefulSet shima-etcd-a");
  EXPECT_TRUE(record < set);
}

TEST_F(KeepEtcdMembersTest, MembersThatAreReadyHaveBegun) {
  begin();
  EXPECT_EQ(mark(pod("a")), "begun claim-a");
  EXPECT_EQ(mark(pod("c")), "begun claim-c");
  EXPECT_EQ(mark("initial-cluster-state"), "existing");
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("get PersistentVolumeClaim"), 0u) << "of a Ready pod it is asked once";
  EXPECT_EQ(kube_.count_calls("patch ConfigMap"), 0u);
}

TEST_F(KeepEtcdMembersTest, OneWithANewClaimIsReplacedStepByStep) {
  begin();
  lose("b");
  reconcile();
  EXPECT_EQ(mark(pod("b")), "leaving new-b");
  EXPECT_TRUE(etcd_.calls.empty()) << "noted first";
  reconcile();
  EXPECT_EQ(etcd_.calls, std::vector<std::string>{"remove 98"});
  reconcile();
  EXPECT_EQ(mark(pod("b")), "adding new-b");
  reconcile();
  EXPECT_EQ(etcd_.calls.back(), "add " + url("b"));
  reconcile();
  EXPECT_EQ(mark(pod("b")), "joining new-b");
  reconcile();
  EXPECT_EQ(etcd_.calls.size(), 2u);
  run_pods("one");
  reconcile();
  EXPECT_EQ(mark(pod("b")), "begun new-b");
}

TEST_F(KeepEtcdMembersTest, GoesOnAfterARestartOfTheOperator) {
  begin();
  lose("b");
  for (int i = 0; i < 5; ++i) {
    restart_operator();
    reconcile();
  }
  EXPECT_EQ(mark(pod("b")), "joining new-b");
  EXPECT_EQ(etcd_.calls.size(), 2u);
}

TEST_F(KeepEtcdMembersTest, WithoutAMajorityNothingIsDone) {
  begin();
  lose("b");
  kube_.take(pod_kind(), "ns/" + pod("c"));
  reconcile();
  reconcile();
  EXPECT_EQ(mark(pod("b")), "begun claim-b");
  EXPECT_TRUE(etcd_.calls.empty());
}

TEST_F(KeepEtcdMembersTest, WhatEtcdRefusesIsTriedAgain) {
  begin();
  lose("b");
  etcd_.refusal = {Code::kFailedPrecondition, "unhealthy cluster"};
  for (int i = 0; i < 4; ++i) reconcile();
  EXPECT_EQ(mark(pod("b")), "leaving new-b");
  etcd_.refusal = Status::ok();
  for (int i = 0; i < 4; ++i) reconcile();
  EXPECT_EQ(mark(pod("b")), "joining new-b");
}

TEST_F(KeepEtcdMembersTest, ARecordThatIsGoneIsMadeAnewForAnEtcdThatExists) {
  begin();
  set_was_ready();
  kube_.take(config_map_kind(), "ns/shima-etcd-begun");
  kube_.take(pod_kind(), "ns/" + pod("b"));
  restart_operator();
  reconcile();
  EXPECT_EQ(mark("initial-cluster-state"), "existing") << "no member may begin another etcd";
  date_record();
  for (int i = 0; i < 8; ++i) reconcile();
  EXPECT_EQ(mark(pod("b")), "begun claim-b") << "its pod is only restarting";
  EXPECT_TRUE(etcd_.calls.empty()) << etcd_.calls.front();
}

TEST_F(KeepEtcdMembersTest, OneWithoutAClaimWhenTheRecordIsMadeAnewIsReplacedOnceItHasOne) {
  begin();
  set_was_ready();
  kube_.take(config_map_kind(), "ns/shima-etcd-begun");
  kube_.take(pod_kind(), "ns/" + pod("b"));
  kube_.take(claim_kind(), "ns/data-" + pod("b"));
  restart_operator();
  reconcile();
  date_record();
  reconcile();
  EXPECT_EQ(mark(pod("b")), "");
  claims_made_ = "2026-01-02T00:00:01Z";
  put_claim("b", "new-b");
  for (int i = 0; i < 6; ++i) reconcile();
  EXPECT_EQ(mark(pod("b")), "joining new-b");
}

TEST_F(KeepEtcdMembersTest, ARecordWithoutMarksReplacesNobodyAndLetsNobodyRestart) {
  begin();
  date_record();
  kube_.edit(config_map_kind(), "ns/shima-etcd-begun", [&](json& record) { record["data"].erase(pod("b")); });
  const auto set_of_b = "ns/shima-etcd-b";
  kube_.edit(pod_kind(), "ns/" + pod("b"), [](json& one) { one["status"]["conditions"] = json::array(); });
  kube_.edit(stateful_set_kind(), set_of_b, [](json& set) { set["status"]["updateRevision"] = "two"; });
  kube_.calls.clear();
  for (int i = 0; i < 8; ++i) reconcile();
  EXPECT_TRUE(etcd_.calls.empty());
  EXPECT_EQ(kube_.count_calls("evict Pod " + pod("b")), 0u);
  EXPECT_NE(condition("Upgrading")["message"].get<std::string>().find(pod("b") + " has begun"),
            std::string::npos)
      << condition("Upgrading").dump();
  kube_.edit(config_map_kind(), "ns/shima-etcd-begun",
             [&](json& record) { record["data"][pod("b")] = "begun claim-b"; });
  reconcile();
  EXPECT_EQ(kube_.count_calls("evict Pod " + pod("b")), 1u);
}

TEST_F(KeepEtcdMembersTest, AClaimThatCannotBeReadPutsTheRecordOff) {
  begin();
  set_was_ready();
  kube_.take(config_map_kind(), "ns/shima-etcd-begun");
  kube_.refusals["get PersistentVolumeClaim"] = {Code::kPermissionDenied, "forbidden"};
  restart_operator();
  reconcile();
  EXPECT_EQ(mark("initial-cluster-state"), "none") << "it would have no marks";
}

TEST_F(KeepEtcdMembersTest, ARecordThatTheWatchDoesNotShowIsAskedFor) {
  begin();
  kube_.hidden.insert("ConfigMap");
  lose("b");
  kube_.calls.clear();
  for (int i = 0; i < 5; ++i) reconcile();
  EXPECT_EQ(kube_.count_calls("create ConfigMap shima-etcd-begun"), 0u);
  kube_.hidden.clear();
  EXPECT_EQ(mark(pod("b")), "joining new-b");
}

TEST_F(KeepEtcdMembersTest, SaysThatAClaimWaitsForItsPod) {
  begin();
  kube_.take(pod_kind(), "ns/" + pod("b"));
  kube_.edit(claim_kind(), "ns/data-" + pod("b"),
             [](json& claim) { claim["metadata"]["deletionTimestamp"] = "2026-01-03T00:00:00Z"; });
  reconcile();
  EXPECT_NE(events().find("its claim waits for its pod"), std::string::npos) << events();
  EXPECT_TRUE(etcd_.calls.empty());
}

TEST_F(KeepEtcdMembersTest, SaysThatAMemberHasBeenJoiningForLong) {
  begin();
  lose("b");
  for (int i = 0; i < 8; ++i) reconcile();
  ASSERT_EQ(mark(pod("b")), "joining new-b");
  EXPECT_EQ(events().find("more than 10 minutes ago"), std::string::npos);
  clock_.pass_ms(600'000);
  reconcile();
  EXPECT_NE(events().find("more than 10 minutes ago"), std::string::npos) << events();
}

TEST_F(KeepEtcdMembersTest, ARecordThatCannotBeReadStopsReplacements) {
  begin();
  kube_.edit(config_map_kind(), "ns/shima-etcd-begun",
             [&](json& record) { record["data"][pod("b")] = "nonsense"; });
  lose("b");
  reconcile();
  EXPECT_EQ(mark(pod("b")), "nonsense");
  EXPECT_NE(condition("SpecAccepted")["message"].get<std::string>().find("shima-etcd-begun"),
            std::string::npos);
}

}  // namespace
}  // namespace shima
