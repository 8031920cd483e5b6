#include "operator/desired/cluster_plan.h"

#include <gtest/gtest.h>

#include "operator/desired/inputs_reading.h"
#include "operator/desired/object_labels.h"
#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Members = std::map<std::string, uint32_t>;

ClusterPlan plan_of(const SampleCluster& sample) {
  return plan_cluster(sample.cluster, sample.spec, sample.nodes, sample.observed);
}

bool refuses(const ClusterPlan& plan, const std::string& words) {
  return std::any_of(plan.refused.begin(), plan.refused.end(),
                     [&](const std::string& text) { return text.find(words) != std::string::npos; });
}

TEST(EtcdMembers, AreThreeOrFive) {
  EXPECT_EQ(plan_of(SampleCluster({"a"})).etcd_members, (Members{{"a", 3}}));
  EXPECT_EQ(plan_of(SampleCluster({"a", "b", "c"})).etcd_members, (Members{{"a", 1}, {"b", 1}, {"c", 1}}));
  EXPECT_EQ(plan_of(SampleCluster({"a", "b", "c", "d"})).etcd_members.size(), 3u);
  EXPECT_EQ(plan_of(SampleCluster({"a", "b", "c", "d", "e", "f"})).etcd_members.size(), 5u);
}

TEST(EtcdMembers, AreWhereTheSpecSaysSo) {
  SampleCluster sample({"a", "b", "c", "d", "e"});
  sample.spec.etcd.sites = {"e", "b", "c"};
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"b", 1}, {"c", 1}, {"e", 1}}));
  sample.spec.etcd.sites = {"d"};
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"d", 3}}));
  sample.spec.etcd.sites = {"a", "b", "z"};
  EXPECT_TRUE(plan_of(sample).etcd_members.empty());
  EXPECT_TRUE(refuses(plan_of(sample), "spec.etcd.sites names z, which has no nodes"));
}

TEST(EtcdMembers, StayWhereTheyAreWhatEverTheSpecSaysLater) {
  SampleCluster sample({"a", "b", "c", "d"});
  sample.observed.etcd_members_of_site = {{"a", 1}, {"b", 1}, {"c", 1}};
  sample.spec.etcd.sites = {"b", "c", "d"};
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"a", 1}, {"b", 1}, {"c", 1}}));
  EXPECT_TRUE(refuses(plan_of(sample), "spec.etcd.sites names d, where etcd has no member"));
}

TEST(EtcdMembers, OfATrialIsOne) {
  SampleCluster sample({"a"});
  sample.spec.trial = true;
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"a", 1}}));
}

TEST(EtcdMembers, OfTwoSitesHaveAWitnessElsewhere) {
  SampleCluster sample({"a", "b"});
  sample.nodes.push_back(sample_node("far", {}));
  const ClusterPlan plan = plan_of(sample);
  EXPECT_EQ(plan.etcd_members, (Members{{"", 1}, {"a", 1}, {"b", 1}}));
  EXPECT_EQ(etcd_nodes(plan, ""), std::vector<std::string>{"far"});
  EXPECT_EQ(etcd_endpoints(plan, "b").front(), "shima-etcd-b-0.shima-etcd-b.storage.svc:2379")
      << "the own site's first";
  EXPECT_EQ(etcd_endpoints(plan, "b").back(), "shima-witness-0.shima-witness.storage.svc:2379")
      << "the witness last";
}

TEST(EtcdMembers, OfTwoSitesWithoutAThirdPlaceAreRefused) {
  SampleCluster sample({"a", "b"});
  EXPECT_TRUE(plan_of(sample).etcd_members.empty());
  EXPECT_TRUE(refuses(plan_of(sample), "spec.etcd.witnessSelector"));
  sample.nodes.push_back(sample_node("far", {{"role", "other"}}));
  sample.spec.etcd.witness_selector = {{"role", "witness"}};
  EXPECT_TRUE(plan_of(sample).etcd_members.empty()) << "the only node elsewhere does not fit the selector";
  sample.spec.trial = true;
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"a", 1}}));
}

TEST(EtcdMembers, StayWhereTheyAreWhenSitesCome) {
  SampleCluster sample({"a", "b", "c", "d", "e"});
  sample.observed.etcd_members_of_site = {{"c", 3}};
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"c", 3}}));
}

TEST(EtcdMembers, StayWhenTheirSiteIsRemovedAndThatIsTold) {
  SampleCluster sample({"a", "b", "c", "d"});
  sample.observed.etcd_members_of_site = {{"a", 1}, {"b", 1}, {"c", 1}};
  sample.spec.topology.removed_sites = {"c"};
  EXPECT_EQ(plan_of(sample).etcd_members.at("c"), 1u);
  EXPECT_TRUE(refuses(plan_of(sample), "etcd member of removed site c stays"));
}

TEST(EtcdMembers, OfOthersAreNotMade) {
  SampleCluster sample({"a"});
  sample.spec.etcd.endpoints = {"etcd:2379"};
  EXPECT_TRUE(plan_of(sample).etcd_members.empty());
  EXPECT_EQ(etcd_endpoints(plan_of(sample), "a"), std::vector<std::string>{"etcd:2379"});
}

TEST(EtcdMembers, AreNotLeftForAnEtcdOfOthersLater) {
  SampleCluster sample({"a"});
  sample.observed.etcd_members_of_site = {{"a", 3}};
  sample.spec.etcd.endpoints = {"etcd:2379"};
  EXPECT_EQ(plan_of(sample).etcd_members, (Members{{"a", 3}}));
  EXPECT_TRUE(refuses(plan_of(sample), "spec.etcd.endpoints is ignored"));
}

TEST(CoreServers, AreNeverFewer) {
  SampleCluster sample({"a", "b", "c"});
  sample.observed.core_servers_of_site = {{"b", 4}};
  const ClusterPlan plan = plan_of(sample);
  EXPECT_EQ(plan.core_servers, (Members{{"a", 2}, {"b", 4}, {"c", 2}}));
  EXPECT_TRUE(refuses(plan, "site b keeps its 4 core servers"));
}

TEST(CoreServers, MayBeMore) {
  SampleCluster sample({"a"});
  sample.observed.core_servers_of_site = {{"a", 1}};
  EXPECT_EQ(plan_of(sample).core_servers.at("a"), 2u);
  EXPECT_TRUE(plan_of(sample).refused.empty());
}

TEST(CoreServers, WithoutAHostForEachAreAProblem) {
  SampleCluster sample({"a"});
  sample.spec.core_servers.per_site = 3;
  const auto told = [&] { return !plan_of(sample).sites.problems.empty(); };
  EXPECT_TRUE(told());
  sample.spec.trial = true;
  EXPECT_FALSE(told()) << "a trial's servers share hosts";
}

TEST(CoreServers, OfASiteWithoutNodesStay) {
  SampleCluster sample({"a"});
  sample.observed.core_servers_of_site = {{"a", 2}, {"gone", 2}};
  EXPECT_EQ(plan_of(sample).core_servers.at("gone"), 2u);
  sample.spec.topology.removed_sites = {"gone"};
  EXPECT_FALSE(plan_of(sample).core_servers.contains("gone"));
}

TEST(ControlEndpoints, AreAFewOfTheOwnSiteThenOfTheOthers) {
  SampleCluster sample({"a", "b"});
  sample.spec.core_servers.per_site = 10;
  const auto endpoints = control_endpoints(plan_of(sample), "b");
  ASSERT_EQ(endpoints.size(), 5u);
  EXPECT_EQ(endpoints[0], "shima-core-b-0.shima-core-b.storage.svc:7000");
  EXPECT_EQ(endpoints[3], "shima-core-a-0.shima-core-a.storage.svc:7000");
  const auto before = endpoints;
  sample.spec.core_servers.per_site = 11;
  EXPECT_EQ(control_endpoints(plan_of(sample), "b"), before) << "one more server restarts nobody";
}

TEST(ControlEndpoints, OfManySitesAreNoMoreThanProgramsTake) {
  std::vector<std::string> sites;
  for (int i = 0; i < 64; ++i) sites.push_back("s" + std::to_string(i));
  EXPECT_LE(control_endpoints(plan_of(SampleCluster(sites)), "s1").size(), 256u);
}

TEST(Observed, WhatIsMadeIsReadBackAsItWas) {
  SampleCluster sample({"a", "b"});
  sample.nodes.push_back(sample_node("far", {}));
  std::vector<nlohmann::json> sets;
  for (const nlohmann::json& object : sample.desired().objects)
    if (object["kind"] == "StatefulSet") sets.push_back(object);
  const ObservedCluster observed = read_observed(sample.cluster, sets, {});
  EXPECT_EQ(observed.core_servers_of_site, (Members{{"a", 2}, {"b", 2}}));
  EXPECT_EQ(observed.etcd_members_of_site, (Members{{"", 1}, {"a", 1}, {"b", 1}}));
}

TEST(Observed, ObjectsOfOtherClustersDoNotCount) {
  const SampleCluster sample({"a"});
  std::vector<nlohmann::json> sets;
  for (const nlohmann::json& object : sample.desired().objects) sets.push_back(object);
  EXPECT_TRUE(read_observed({"elsewhere", "shima", ""}, sets, {}).core_servers_of_site.empty());
  EXPECT_TRUE(read_observed({"storage", "other", ""}, sets, {}).etcd_members_of_site.empty());
}

TEST(Observed, OddObjectsDoNotCount) {
  for (const char* text : {"null", "3", "[]", "{}", R"({"metadata":{"labels":[]}})",
                           R"({"metadata":3,"spec":{"replicas":"x"}})"})
    EXPECT_TRUE(read_observed({"storage", "shima", ""}, {nlohmann::json::parse(text)}, {})
                    .core_servers_of_site.empty());
}

TEST(Nodes, AreReadAsFarAsTheyCount) {
  const NodeView node = read_node(nlohmann::json::parse(R"({"metadata":{"name":"n","labels":{"a":"b"}},
      "spec":{"unschedulable":true,"taints":[{"key":"node.kubernetes.io/out-of-service","effect":"NoExecute"}]},
      "status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"},{"type":"Hostname","address":"n"}],
                "conditions":[{"type":"DiskPressure","status":"True"},{"type":"Ready","status":"True"}]}})"));
  EXPECT_EQ(node.name, "n");
  EXPECT_EQ(node.internal_addresses, std::vector<std::string>{"10.0.0.1"});
  EXPECT_TRUE(node.ready && node.unschedulable && node.out_of_service && !node.to_be_deleted);
  const NodeView bare = read_node(nlohmann::json::parse(
      R"({"metadata":{"name":"n"},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})"));
  EXPECT_FALSE(bare.ready || bare.unschedulable || bare.out_of_service);
  EXPECT_TRUE(read_node(nlohmann::json::array()).name.empty());
}

TEST(Nodes, SayByTheirTaintsWhoKeepsAwayAndThatAnAutoscalerDeletesThem) {
  const auto tainted = [](const char* key) {
    return read_node(
        {{"spec",
          {{"taints", nlohmann::json::array({{{"key", key}, {"value", "v"}, {"effect", "NoSchedule"}}})}}}});
  };
  for (const char* key : {"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"}) {
    EXPECT_TRUE(tainted(key).to_be_deleted) << key;
    EXPECT_FALSE(tainted(key).unschedulable) << key << ": nobody has cordoned it";
  }
  const NodeView other = tainted("dedicated");
  EXPECT_FALSE(other.to_be_deleted);
  ASSERT_EQ(other.taints.size(), 1u);
  EXPECT_EQ(other.taints[0].key + other.taints[0].value + other.taints[0].effect, "dedicatedvNoSchedule");
}

}  // namespace
}  // namespace shima
