#include "operator/status/cluster_status.h"

#include <gtest/gtest.h>

#include "operator/status/conditions.h"

namespace shima {
namespace {

using nlohmann::json;

StatusInputs healthy() {
  StatusInputs in;
  in.generation = 7;
  in.now = "2026-01-01T00:00:00Z";
  in.sites = {.label = "zone", .nodes_of_site = {{"a", {"n1", "n2"}}, {"b", {"n3", "n4"}}}};
  for (const std::string site : {"a", "b"}) {
    in.workloads.push_back({Component::kEtcd, site, "shima-etcd-" + site, 1, 1});
    in.workloads.push_back({Component::kCoreServers, site, "shima-core-" + site, 2, 2});
    in.workloads.push_back({Component::kAccessServers, site, "shima-access-" + site, 2, 2});
  }
  in.workloads.push_back({Component::kCsi, "", "shima-csi-controller", 2, 2});
  in.health = {.answered = true, .etcd_reachable = true, .volumes = 3};
  in.rollout = {.up_to_date = 4, .total = 4};
  return in;
}

json condition(const json& status, const std::string& type) {
  for (const json& each : status["conditions"])
    if (each["type"] == type) return each;
  return {};
}

TEST(ClusterStatus, SaysReadyWhenEverythingIs) {
  const json status = cluster_status(healthy());
  EXPECT_EQ(status["phase"], "Ready");
  EXPECT_EQ(condition(status, "Ready")["status"], "True");
  EXPECT_EQ(status["observedGeneration"], 7);
  EXPECT_EQ(status["sites"][0]["coreServers"], "2/2");
  EXPECT_EQ(status["sites"][0]["nodes"], 2);
  EXPECT_TRUE(condition(status, "DeletionIsBlocked").is_null());
}

TEST(ClusterStatus, AnUnchangedClusterGivesAnUnchangedStatusLater) {
  StatusInputs in = healthy();
  in.previous = cluster_status(in);
  in.now = "2026-01-02T00:00:00Z";
  EXPECT_EQ(cluster_status(in), in.previous);
}

TEST(ClusterStatus, AConditionThatChangesGetsANewTimeAndOthersKeepTheirs) {
  StatusInputs in = healthy();
  in.previous = cluster_status(in);
  in.now = "2026-01-02T00:00:00Z";
  in.workloads[1].ready = 1;
  const json status = cluster_status(in);
  EXPECT_EQ(condition(status, "CoreServersReady")["lastTransitionTime"], "2026-01-02T00:00:00Z");
  EXPECT_EQ(condition(status, "EtcdReady")["lastTransitionTime"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(status["phase"], "Degraded");
}

TEST(ClusterStatus, NamesTheSiteThatLacksAServer) {
  StatusInputs in = healthy();
  in.workloads[4].ready = 1;  // core servers of b
  const json status = cluster_status(in);
  EXPECT_EQ(condition(status, "Ready")["status"], "False");
  EXPECT_NE(status["message"].get<std::string>().find("b: 1 of 2 ready"), std::string::npos)
      << status["message"];
  EXPECT_EQ(status["sites"][1]["state"], "Degraded");
  EXPECT_EQ(status["sites"][0]["state"], "Ready");
}

TEST(ClusterStatus, IsCreatingUntilItWasReadyOnce) {
  StatusInputs in = healthy();
  in.workloads[1].ready = 0;
  EXPECT_EQ(cluster_status(in)["phase"], "Creating");
}

TEST(ClusterStatus, ACauseIsToldBeforeItsConsequence) {
  StatusInputs in = healthy();
  in.health = {.error = "connection refused"};
  in.workloads[0].ready = 0;  // etcd
  in.apply_errors = {"statefulsets.apps is forbidden: User \"x\" cannot patch resource \"statefulsets\""};
  const json status = cluster_status(in);
  EXPECT_EQ(condition(status, "Ready")["reason"], "NotObjectsApplied");
  EXPECT_NE(status["message"].get<std::string>().find("cannot patch"), std::string::npos);
  EXPECT_EQ(condition(status, "VolumesHealthy")["reason"], "NotKnown");
}

TEST(ClusterStatus, VolumesThatAreNotWholeAreNamedWithTheReason) {
  StatusInputs in = healthy();
  in.health.unhealthy = {{.name = "vm1", .reasons = {"site b is behind"}}};
  const json status = cluster_status(in);
  EXPECT_EQ(status["unhealthyVolumes"], 1);
  EXPECT_EQ(condition(status, "VolumesHealthy")["message"], "1 of 3 volumes: vm1: site b is behind");
}

TEST(ClusterStatus, TheNumberOfVolumesIsKeptWhileNobodyTellsIt) {
  StatusInputs in = healthy();
  in.previous = cluster_status(in);
  in.health = {.error = "away"};
  EXPECT_EQ(cluster_status(in)["volumes"], 3);
}

TEST(ClusterStatus, NoSitesAtAllNamesTheLabel) {
  StatusInputs in = healthy();
  in.sites.nodes_of_site.clear();
  EXPECT_NE(condition(cluster_status(in), "SitesMapped")["message"].get<std::string>().find("label zone"),
            std::string::npos);
}

TEST(ClusterStatus, DeletionIsBlockedByVolumesAndByNotKnowing) {
  StatusInputs in = healthy();
  in.deletion = {.asked = true, .known = true, .volumes = {"vm1", "vm2"}};
  json status = cluster_status(in);
  EXPECT_EQ(status["phase"], "DeletionBlocked");
  EXPECT_NE(condition(status, "DeletionIsBlocked")["message"].get<std::string>().find("vm1; vm2"),
            std::string::npos);
  in.deletion = {.asked = true};
  EXPECT_EQ(condition(cluster_status(in), "DeletionIsBlocked")["reason"], "VolumesNotKnown");
  in.deletion = {.asked = true, .known = true};
  status = cluster_status(in);
  EXPECT_EQ(status["phase"], "Deleting");
  EXPECT_EQ(condition(status, "DeletionIsBlocked")["status"], "False");
}

TEST(ClusterStatus, AnUpgradeSaysHowFarItIsAndWhatItWaitsFor) {
  StatusInputs in = healthy();
  in.rollout = {.kind = RolloutStep::Kind::kWait,
                .reason = "waiting until b/core-1 is ready",
                .up_to_date = 1,
                .total = 4};
  const json status = cluster_status(in);
  EXPECT_EQ(status["phase"], "Upgrading");
  EXPECT_EQ(condition(status, "Upgrading")["message"],
            "1 of 4 core servers run the wanted version; waiting until b/core-1 is ready");
}

TEST(ClusterStatus, AStatusOfAnotherKindDoesNoHarm) {
  StatusInputs in = healthy();
  for (const json& odd :
       {json("x"), json{{"conditions", "x"}}, json{{"conditions", {1, json::object()}}}, json(nullptr)}) {
    in.previous = odd;
    EXPECT_EQ(cluster_status(in)["phase"], "Ready");
  }
}

TEST(Conditions, ALongMessageIsCutBetweenCharacters) {
  Conditions conditions({}, 1, "now");
  std::string text(kMaxConditionMessageBytes - 4, 'x');
  for (int i = 0; i < 10; ++i) text += "\xe5\x80\xa4";
  conditions.set("Ready", false, "Long", text);
  const std::string message = conditions.list()[0]["message"];
  EXPECT_LE(message.size(), kMaxConditionMessageBytes);
  EXPECT_NO_THROW((void)json(message).dump());  // throws for what is not UTF-8
}

}  // namespace
}  // namespace shima
