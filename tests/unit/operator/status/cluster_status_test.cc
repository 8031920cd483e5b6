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
  in.planned = true;
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

TEST(ClusterStatus, SaysWhyPodsAreMissing) {
  StatusInputs in = healthy();
  in.workloads[4].ready = 1;  // core servers of b
  in.workloads[4].why = "shima-core-b-1: no node can take it";
  const json status = cluster_status(in);
  EXPECT_EQ(condition(status, "CoreServersReady")["message"],
            "3 of 4 core servers are ready; b: 1 of 2 ready (shima-core-b-1: no node can take it)");
  EXPECT_EQ(status["sites"][1]["message"],
            "shima-core-b has 1 of 2 pods ready (shima-core-b-1: no node can take it)");
}

TEST(ClusterStatus, AFullDiskIsNamedAndTheClusterIsNotReady) {
  StatusInputs in = healthy();
  in.health.replication = {{.server = "a/core-0", .told = true},
                           {.server = "b/core-1", .told = true, .full_disks = {"/disks/0"}}};
  json status = cluster_status(in);
  EXPECT_EQ(condition(status, "CoreServersReady")["status"], "False");
  EXPECT_EQ(condition(status, "CoreServersReady")["reason"], "DiskFull");
  const std::string message = condition(status, "CoreServersReady")["message"];
  EXPECT_TRUE(message.starts_with("4 of 4 core servers are ready; b/core-1: /disks/0 is full: writes there"))
      << message;
  EXPECT_EQ(condition(status, "Ready")["reason"], "NotCoreServersReady");
  EXPECT_EQ(status["sites"][0]["state"], "Ready");
  EXPECT_EQ(status["sites"][1]["message"], "b/core-1: /disks/0 is full");
  in.health.servers_away = {"a/core-1"};
  status = cluster_status(in);
  EXPECT_EQ(condition(status, "CoreServersReady")["reason"], "NoLease");
  EXPECT_NE(condition(status, "CoreServersReady")["message"].get<std::string>().find(
                "a/core-1; b/core-1: /disks/0 is full"),
            std::string::npos);
  in.health.servers_away.clear();
  in.health.replication[1].server = "removed/core-0";
  EXPECT_EQ(condition(cluster_status(in), "Ready")["status"], "True");
}

TEST(ClusterStatus, IsCreatingUntilItWasReadyOnce) {
  StatusInputs in = healthy();
  in.workloads[1].ready = 0;
  EXPECT_EQ(cluster_status(in)["phase"], "Creating");
}

TEST(ClusterStatus, SaysWhichMountersAreOldAndIsReadyAllTheSame) {
  StatusInputs in = healthy();
  EXPECT_EQ(condition(cluster_status(in), "MountersUpToDate")["status"], "True");
  in.workloads.push_back({Component::kCsi, "b", "shima-csi-mounter-b", 3, 3, /*old_mounters=*/2});
  const json status = cluster_status(in);
  EXPECT_EQ(condition(status, "MountersUpToDate")["status"], "False");
  const std::string message = condition(status, "MountersUpToDate")["message"];
  EXPECT_NE(message.find("b: 2 of 3"), std::string::npos) << message;
  EXPECT_EQ(condition(status, "Ready")["status"], "True") << "mounts go on";
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
  EXPECT_EQ(condition(status, "VolumesHealthy")["status"], "Unknown");
}

TEST(ClusterStatus, WhereNobodyAnswersItIsNotReady) {
  StatusInputs in = healthy();
  in.health = {.error = "connection refused"};
  const json status = cluster_status(in);
  EXPECT_EQ(condition(status, "Ready")["status"], "False");
  EXPECT_EQ(condition(status, "Ready")["reason"], "NotVolumesHealthy");
  EXPECT_EQ(status["message"], "no core server answers: connection refused");
}

TEST(ClusterStatus, AServerThatDoesNotReachEtcdSaysNothingOfVolumes) {
  StatusInputs in = healthy();
  in.previous = cluster_status(in);
  in.health = {.answered = true, .error = "a/core-0: server a/core-0 has not joined the cluster yet"};
  const json status = cluster_status(in);
  const json volumes = condition(status, "VolumesHealthy");
  EXPECT_EQ(volumes["status"], "False");
  EXPECT_EQ(volumes["reason"], "EtcdAway");
  EXPECT_NE(volumes["message"].get<std::string>().find("has not joined the cluster yet"), std::string::npos);
  EXPECT_EQ(condition(status, "Ready")["reason"], "NotVolumesHealthy");
  EXPECT_EQ(status["volumes"], 3) << "as it was told before";
  EXPECT_EQ(condition(status, "EtcdReady")["status"], "True") << "its own members are ready";
}

TEST(ClusterStatus, AnEtcdThatIsNotOursIsReadyIfCoreServersReachIt) {
  StatusInputs in = healthy();
  std::erase_if(in.workloads, [](const WorkloadView& each) { return each.component == Component::kEtcd; });
  in.external_etcd = true;
  EXPECT_EQ(condition(cluster_status(in), "EtcdReady")["reason"], "Reached");
  in.health.etcd_reachable = false;
  in.health.error = "a/core-0: nothing was heard of etcd";
  const json lost = cluster_status(in);
  EXPECT_EQ(condition(lost, "EtcdReady")["status"], "False");
  EXPECT_EQ(condition(lost, "Ready")["reason"], "NotEtcdReady");
  EXPECT_NE(lost["message"].get<std::string>().find("a/core-0: nothing was heard of etcd"),
            std::string::npos);
  in.health = {.error = "connection refused"};
  EXPECT_EQ(condition(cluster_status(in), "EtcdReady")["status"], "Unknown");
}

TEST(ClusterStatus, AServerWithoutALeaseIsNamedThoughItsPodIsReady) {
  StatusInputs in = healthy();
  in.health.servers_away = {"b/core-1"};
  json status = cluster_status(in);
  EXPECT_EQ(condition(status, "CoreServersReady")["status"], "False");
  EXPECT_EQ(condition(status, "CoreServersReady")["reason"], "NoLease");
  EXPECT_EQ(condition(status, "CoreServersReady")["message"],
            "4 of 4 core servers are ready; without a lease in etcd: b/core-1");
  EXPECT_EQ(condition(status, "Ready")["reason"], "NotCoreServersReady");
  EXPECT_EQ(status["sites"][0]["state"], "Ready");
  EXPECT_EQ(status["sites"][1]["state"], "Degraded");
  EXPECT_EQ(status["sites"][1]["message"], "b/core-1 has no lease in etcd");
  in.health.etcd_reachable = false;
  EXPECT_EQ(condition(cluster_status(in), "CoreServersReady")["status"], "True")
      << "what it says of leases is old";
  in.health.etcd_reachable = true;
  in.health.servers_away = {"removed/core-0"};
  EXPECT_EQ(condition(cluster_status(in), "Ready")["status"], "True")
      << "nobody waits for a site that was removed";
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
  in.health.unhealthy = {{.name = "vm1"}};
  in.previous = cluster_status(in);
  in.health = {.error = "away"};
  EXPECT_EQ(cluster_status(in)["volumes"], 3);
  EXPECT_EQ(cluster_status(in)["unhealthyVolumes"], 1);
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
  const json blocked = condition(cluster_status(in), "DeletionIsBlocked");
  EXPECT_EQ(blocked["reason"], "VolumesNotKnown");
  EXPECT_NE(blocked["message"].get<std::string>().find("one of the same name takes them over"),
            std::string::npos)
      << "it gives nothing up to take the finalizer away";
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

TEST(ClusterStatus, WhatCannotBeToldAnewIsToldAsBefore) {
  StatusInputs in = healthy();
  in.rollout = {.kind = RolloutStep::Kind::kWait, .reason = "waiting", .up_to_date = 1, .total = 4};
  in.drain.told = {"node n1 is cordoned"};
  in.waiting_moves = {"node n2 is in use"};
  in.previous = cluster_status(in);
  in.now = "2026-01-02T00:00:00Z";
  in.planned = false;
  in.rollout = {};
  in.drain = {};
  in.waiting_moves.clear();
  in.sites = {};
  in.workloads.clear();
  EXPECT_EQ(cluster_status(in), in.previous) << json::diff(in.previous, cluster_status(in));
}

TEST(ClusterStatus, WhileListsAreWaitedForOnlyThatIsToldAnew) {
  StatusInputs in = healthy();
  in.previous = cluster_status(in);
  in.knows_enough = false;
  in.apply_errors = {"waiting for the list of pods"};
  in.health = {.error = "away"};
  json status = cluster_status(in);
  EXPECT_EQ(condition(status, "ObjectsApplied")["message"], "waiting for the list of pods");
  EXPECT_EQ(condition(status, "ObjectsApplied")["status"], "False");
  for (const json& each : in.previous["conditions"])
    if (each["type"] != "ObjectsApplied") {
      EXPECT_EQ(condition(status, each["type"]), each);
    }
  status.erase("conditions");
  in.previous.erase("conditions");
  EXPECT_EQ(status, in.previous);
}

TEST(ClusterStatus, AStatusOfAnotherKindDoesNoHarm) {
  StatusInputs in = healthy();
  for (const json& odd :
       {json("x"), json{{"conditions", "x"}}, json{{"conditions", {1, json::object()}}}, json(nullptr)}) {
    in.previous = odd;
    in.knows_enough = false;
    EXPECT_EQ(cluster_status(in)["phase"], "Creating");
    in.knows_enough = true;
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

std::string said(const StatusInputs& in) {
  const json versions = condition(cluster_status(in), "VersionsAgree");
  return versions["status"].get<std::string>() + " " + versions["reason"].get<std::string>() + " " +
         versions["message"].get<std::string>();
}

TEST(ClusterStatus, TellsWhichVersionsCoreServersRun) {
  StatusInputs in = healthy();
  EXPECT_EQ(said(in), "False NotTold the core server that answers is too old to say");
  in.health.versions = {{"a/core-0", "0.1.0"}, {"a/core-1", "0.1.0"}};
  EXPECT_EQ(said(in), "True AllSame 2 of 2 core servers run 0.1.0");
  in.health.versions.push_back({"b/core-0", "0.2.0"});
  EXPECT_EQ(said(in), "False Mixed 2 of 3 core servers run 0.1.0; 1 of 3 core servers run 0.2.0");
  EXPECT_EQ(cluster_status(in)["phase"], "Ready") << "neighbouring versions run together";
  in.health.versions.back().version = "";
  EXPECT_EQ(said(in),
            "False Mixed 2 of 3 core servers run 0.1.0; 1 of 3 core servers run a version before 0.1.0");
  in.health.refused = {{"b/core-1", "0.3.0", "found release 1"}};
  EXPECT_TRUE(
      said(in).starts_with("False StartRefused b/core-1: found release 1; 2 of 3 core servers run 0.1.0"))
      << said(in);
  in.health = {.error = "timeout"};
  EXPECT_EQ(said(in), "False NotKnown no core server answers: timeout");
}

TEST(ClusterStatus, TellsWhoKeepsItsImageUntilCoreServersHaveTheNewOne) {
  StatusInputs in = healthy();
  in.rollout = {.kind = RolloutStep::Kind::kWait, .reason = "waiting", .up_to_date = 1, .total = 4};
  in.held_images = {"shima-access-a", "shima-csi-controller"};
  in.image = "shima/shima:2";
  EXPECT_EQ(condition(cluster_status(in), "Upgrading")["message"],
            "1 of 4 core servers run the wanted version; waiting; until all do, shima-access-a; "
            "shima-csi-controller keep their image and their pods' options (if a core server never comes "
            "back: annotate the ShimaCluster with shima.io/upgrade-without-waiting=shima/shima:2, and they "
            "go on)");
}

TEST(ClusterStatus, TellsTheWayOutOfAWaitForOtherSites) {
  StatusInputs in = healthy();
  in.rollout = {.kind = RolloutStep::Kind::kWait, .reason = "waiting", .up_to_date = 1, .total = 4};
  in.image = "shima/shima:2";
  EXPECT_EQ(condition(cluster_status(in), "Upgrading")["message"],
            "1 of 4 core servers run the wanted version; waiting");
  in.rollout.waits_for_other_sites = true;
  EXPECT_EQ(
      condition(cluster_status(in), "Upgrading")["message"],
      "1 of 4 core servers run the wanted version; waiting (if it is to go on without the copies at other "
      "sites: annotate the ShimaCluster with shima.io/upgrade-without-waiting=shima/shima:2)");
}

TEST(ClusterStatus, TellsWhatDrainsWaitForAndIsReadyAllTheSame) {
  StatusInputs in = healthy();
  EXPECT_EQ(condition(cluster_status(in), "NodesDraining")["reason"], "NoneIsCordoned");
  in.drain.told = {"node n1 is cordoned: waiting until volume vm1 is no longer published there"};
  json status = cluster_status(in);
  EXPECT_EQ(condition(status, "NodesDraining")["status"], "True");
  EXPECT_EQ(condition(status, "NodesDraining")["reason"], "Waiting");
  EXPECT_EQ(condition(status, "NodesDraining")["message"], in.drain.told.front());
  EXPECT_EQ(status["phase"], "Ready");
  in.drain.open_site = "a";
  EXPECT_EQ(condition(cluster_status(in), "NodesDraining")["reason"], "MayGoOn");
}

}  // namespace
}  // namespace shima
