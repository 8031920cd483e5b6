#include "operator/reconcile/volume_objects.h"

#include <gtest/gtest.h>

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

const ClusterIdentity kCluster{"ns", "shima", "uid-1"};

VolumeView volume(const std::string& name, uint64_t lag_bytes = 0) {
  VolumeView view{.name = name, .home = "a", .sites = {"a", "b"}, .ack = "local", .size_bytes = 1 << 20};
  view.health_known = true;
  view.copies = VolumeCopies{.used_bytes = 100, .by_site = {{"b", {.lag_bytes = lag_bytes}}}};
  return view;
}

CoreSnapshot snapshot(std::vector<VolumeView> volumes) {
  CoreSnapshot out;
  out.health = {.answered = true, .etcd_reachable = true};
  out.volumes_known = true;
  out.volumes = std::move(volumes);
  return out;
}

ObjectMap found(const std::vector<VolumeView>& volumes) {
  ObjectMap map;
  for (const VolumeView& each : volumes) {
    const json object = volume_object(kCluster, each.name);
    map[key_of(object)] = std::make_shared<const json>(object);
  }
  return map;
}

json condition(const json& status, const std::string& type) {
  for (const json& each : status["conditions"])
    if (each["type"] == type) return each;
  return {};
}

constexpr uint64_t kMidnightUs =
    1'767'225'600'000'000;  // 2026-01-01T00:00:00Z, at 0 ms of the operator's clock

class VolumeObjectsTest : public testing::Test {
 protected:
  // All that is to be written is written.
  VolumeChanges changes(const CoreSnapshot& now, const ObjectMap& there, uint64_t now_ms) {
    VolumeChanges out = objects_.changes(kCluster, now, there, now_ms, kMidnightUs + now_ms * 1000);
    for (const auto& [name, object] : out.statuses) objects_.status_written(name, object["status"], now_ms);
    return out;
  }
  // The same, where the object of vm1 is there, and is kept as a watch would show it.
  VolumeChanges look(const CoreSnapshot& now, uint64_t now_ms) {
    const VolumeChanges out = changes(now, {{"ns/vm1", std::make_shared<const json>(object_)}}, now_ms);
    if (out.statuses.contains("vm1")) object_["status"] = out.statuses.at("vm1")["status"];
    return out;
  }
  CoreSnapshot told(uint64_t now_ms, VolumeView view) {
    CoreSnapshot now = snapshot({std::move(view)});
    now.taken_ms = now.told_ms = now_ms;
    return now;
  }
  const json& status() const { return object_["status"]; }

  json object_ = [] {
    json object = volume_object(kCluster, "vm1");
    object["metadata"]["generation"] = 3;
    return object;
  }();
  VolumeObjects objects_;
};

TEST_F(VolumeObjectsTest, ANewVolumeGetsAnObjectAndThenItsStatus) {
  const auto made = changes(snapshot({volume("vm1")}), {}, 0);
  ASSERT_EQ(made.made.size(), 1u);
  EXPECT_EQ(made.made[0]["spec"], json({{"name", "vm1"}}));
  EXPECT_TRUE(is_owned_by(made.made[0], "uid-1"));
  EXPECT_TRUE(made.statuses.empty());
  const auto told = changes(snapshot({volume("vm1")}), found({volume("vm1")}), 100);
  EXPECT_TRUE(told.made.empty());
  ASSERT_EQ(told.statuses.size(), 1u);
  EXPECT_EQ(told.statuses.at("vm1")["status"]["health"], "Healthy");
}

TEST_F(VolumeObjectsTest, NothingIsWrittenWhileNothingChanges) {
  const auto there = found({volume("vm1")});
  changes(snapshot({volume("vm1")}), there, 0);
  const auto again = changes(snapshot({volume("vm1")}), there, 60'000);
  EXPECT_TRUE(again.made.empty() && again.statuses.empty() && again.removed.empty());
  EXPECT_EQ(again.put_off, 0u);
}

TEST_F(VolumeObjectsTest, ALagThatDriftsALittleIsNotNews) {
  const auto there = found({volume("vm1")});
  changes(snapshot({volume("vm1", 4'200'000)}), there, 0);
  EXPECT_TRUE(changes(snapshot({volume("vm1", 4'700'000)}), there, 60'000).statuses.empty());
  EXPECT_EQ(changes(snapshot({volume("vm1", 9'000'000)}), there, 120'000).statuses.size(), 1u);
}

TEST_F(VolumeObjectsTest, ALagThatJumpsIsWrittenAtMostEveryTenSeconds) {
  const auto there = found({volume("vm1")});
  changes(snapshot({volume("vm1", 0)}), there, 1'000);
  const auto early = changes(snapshot({volume("vm1", 1 << 30)}), there, 5'000);
  EXPECT_TRUE(early.statuses.empty());
  EXPECT_EQ(early.put_off, 1u) << "it is not forgotten";
  EXPECT_EQ(changes(snapshot({volume("vm1", 1 << 30)}), there, 11'000).statuses.size(), 1u);
}

TEST_F(VolumeObjectsTest, BadHealthIsWrittenAtOnce) {
  const auto there = found({volume("vm1")});
  changes(snapshot({volume("vm1")}), there, 1'000);
  VolumeView sick = volume("vm1");
  sick.reasons = {"server b/core-0 is away"};
  const auto told = changes(snapshot({sick}), there, 1'100);
  ASSERT_EQ(told.statuses.size(), 1u);
  EXPECT_EQ(told.statuses.at("vm1")["status"]["health"], "Degraded");
  EXPECT_EQ(told.statuses.at("vm1")["status"]["reasons"], json({"server b/core-0 is away"}));
}

TEST_F(VolumeObjectsTest, AfterARestartWhatIsThereIsNotWrittenAgain) {
  EXPECT_EQ(look(told(1'000, volume("vm1")), 1'000).statuses.size(), 1u);
  objects_ = {};
  EXPECT_TRUE(look(told(500'000, volume("vm1")), 500'000).statuses.empty());
}

TEST_F(VolumeObjectsTest, ConditionsAreThoseOfTheGenerationAndKeepTheirTime) {
  look(told(1'000, volume("vm1")), 1'000);
  EXPECT_EQ(status()["observedGeneration"], 3);
  EXPECT_EQ(condition(status(), "Healthy")["status"], "True");
  EXPECT_EQ(condition(status(), "Connected")["status"], "True");
  EXPECT_EQ(condition(status(), "Connected")["observedGeneration"], 3);
  VolumeView sick = volume("vm1");
  sick.reasons = {"server b/core-0 is away"};
  sick.copies->by_site["b"].connected = false;
  look(told(60'000, sick), 60'000);
  EXPECT_EQ(condition(status(), "Healthy")["status"], "False");
  EXPECT_EQ(condition(status(), "Healthy")["message"], "server b/core-0 is away");
  EXPECT_EQ(condition(status(), "Connected")["message"], "not connected to the home: b");
  EXPECT_EQ(condition(status(), "Healthy")["lastTransitionTime"], "2026-01-01T00:01:00Z");
  sick.reasons.push_back("1 remote members are not whole");
  look(told(120'000, sick), 120'000);
  EXPECT_EQ(condition(status(), "Healthy")["message"],
            "server b/core-0 is away; 1 remote members are not whole");
  EXPECT_EQ(condition(status(), "Healthy")["lastTransitionTime"], "2026-01-01T00:01:00Z");
}

TEST_F(VolumeObjectsTest, WhereNobodyAnswersHealthIsUnknownAfterAMinuteWithWordsAndATime) {
  VolumeView view = volume("vm1", 4'194'304);
  view.copies->told_ms = 1'000;
  look(told(1'000, view), 1'000);
  view.copies->told_ms = 20'000;
  EXPECT_TRUE(look(told(20'000, view), 20'000).statuses.empty()) << "a time alone is no news";
  CoreSnapshot away;
  away.told_ms = 20'000;
  EXPECT_TRUE(look(away, 80'000).statuses.empty()) << "they may only be busy";
  EXPECT_EQ(status()["health"], "Healthy");
  ASSERT_EQ(look(away, 80'001).statuses.size(), 1u);
  EXPECT_EQ(status()["health"], "Unknown");
  EXPECT_EQ(status()["observedTime"], "2026-01-01T00:00:20Z") << "the last answer's, not the last write's";
  EXPECT_EQ(status()["lagObservedTime"], "2026-01-01T00:00:20Z");
  EXPECT_EQ(status()["sites"][1]["lagBytes"], 4'194'304) << "what was known last stays";
  EXPECT_EQ(status()["home"], "a");
  for (const char* type : {"Healthy", "Connected"}) {
    EXPECT_EQ(condition(status(), type)["status"], "Unknown");
    EXPECT_EQ(condition(status(), type)["reason"], "NoAnswer");
    EXPECT_EQ(condition(status(), type)["lastTransitionTime"], "2026-01-01T00:01:20Z");
  }
  EXPECT_TRUE(status()["reasons"][0].get<std::string>().starts_with("no core server has answered"));
  for (uint64_t at = 90'000; at < 200'000; at += 10'000)
    EXPECT_TRUE(look(away, at).statuses.empty()) << "it is told once";
  EXPECT_EQ(look(told(200'000, view), 200'000).statuses.size(), 1u);
  EXPECT_EQ(status()["health"], "Healthy");
  EXPECT_EQ(condition(status(), "Connected")["status"], "True");
}

TEST_F(VolumeObjectsTest, AVolumeOfWhichNobodyHasEverToldSaysNothing) {
  CoreSnapshot away;
  look(away, 1'000);
  EXPECT_TRUE(look(away, 100'000).statuses.empty());
}

TEST_F(VolumeObjectsTest, AnOperatorThatStartsWhileNobodyAnswersKeepsTheTimesThatItFinds) {
  VolumeView view = volume("vm1");
  view.copies->told_ms = 1'000;
  look(told(1'000, view), 1'000);
  objects_ = {};
  CoreSnapshot away;
  EXPECT_TRUE(look(away, 100'000).statuses.empty()) << "it has only begun to ask";
  EXPECT_EQ(look(away, 160'001).statuses.size(), 1u);
  EXPECT_EQ(status()["health"], "Unknown");
  EXPECT_EQ(status()["observedTime"], "2026-01-01T00:00:01Z");
  EXPECT_EQ(status()["lagObservedTime"], "2026-01-01T00:00:01Z");
  objects_ = {};
  look(away, 200'000);
  EXPECT_TRUE(look(away, 300'000).statuses.empty()) << "the next one finds it written";
}

TEST_F(VolumeObjectsTest, AServerThatDoesNotReachEtcdTellsNoHealth) {
  look(told(1'000, volume("vm1")), 1'000);
  VolumeView old = volume("vm1");
  old.health_known = false;
  old.reasons = {"server b/core-0 is away"};  // as etcd had it long ago
  CoreSnapshot now = snapshot({old});
  now.health.etcd_reachable = now.volumes_known = false;
  now.told_ms = 1'000;
  EXPECT_TRUE(look(now, 61'000).statuses.empty());
  EXPECT_EQ(look(now, 61'001).statuses.size(), 1u);
  EXPECT_EQ(status()["health"], "Unknown");
  EXPECT_EQ(condition(status(), "Healthy")["reason"], "EtcdAway");
  EXPECT_EQ(condition(status(), "Connected")["status"], "True") << "primaries tell of copies without etcd";
  objects_ = {};
  now.volumes.clear();  // it has not joined, and knows of none
  now.told_ms = 0;
  look(now, 100'000);
  look(now, 160'001);
  EXPECT_EQ(condition(status(), "Connected")["reason"], "EtcdAway");
}

TEST_F(VolumeObjectsTest, ANewVolumeOfWhichNobodyHasToldHealthIsPutOff) {
  VolumeView view = volume("vm1");
  view.health_known = false;
  const auto early = look(told(1'000, view), 1'000);
  EXPECT_TRUE(early.statuses.empty());
  EXPECT_EQ(early.put_off, 1u);
}

TEST_F(VolumeObjectsTest, WhereTheHomeDoesNotTellTheLastLagStaysWithItsTime) {
  VolumeView view = volume("vm1", 1 << 20);
  view.copies->by_site["b"].lag_seconds = 8;
  view.copies->told_ms = 5'000;
  look(told(5'000, view), 5'000);
  EXPECT_EQ(status()["lagSeconds"], 8);
  view.copies_are_old = true;
  view.reasons = {"server a/core-0 is away", "server a/core-1 is away"};
  look(told(70'000, view), 70'000);
  EXPECT_EQ(status()["health"], "Degraded");
  EXPECT_EQ(status()["observedTime"], "2026-01-01T00:01:10Z") << "health is not old";
  EXPECT_EQ(status()["lagObservedTime"], "2026-01-01T00:00:05Z");
  EXPECT_EQ(status()["lagSeconds"], 8);
  EXPECT_EQ(status()["sites"][1]["lagBytes"], 1 << 20);
  EXPECT_EQ(condition(status(), "Connected")["status"], "Unknown");
  EXPECT_EQ(condition(status(), "Connected")["reason"], "HomeDoesNotTell");
  objects_ = {};  // an operator that has never heard of the lag
  view.copies.reset();
  EXPECT_TRUE(look(told(90'000, view), 90'000).statuses.empty());
  EXPECT_EQ(status()["lagSeconds"], 8);
  view = volume("vm1");
  view.copies->told_ms = 100'000;
  look(told(100'000, view), 100'000);
  EXPECT_EQ(condition(status(), "Connected")["status"], "True");
  EXPECT_EQ(status()["lagObservedTime"], "2026-01-01T00:01:40Z");
  EXPECT_EQ(status()["lagSeconds"], 0);
}

TEST_F(VolumeObjectsTest, AfterARestartWhatHasNotBeenAskedForStaysAsItIs) {
  look(told(1'000, volume("vm1", 1 << 20)), 1'000);
  objects_ = {};
  VolumeView view = volume("vm1");
  view.copies.reset();
  EXPECT_TRUE(look(told(2'000, view), 2'000).statuses.empty());
  EXPECT_EQ(status()["sites"][1]["lagBytes"], 1 << 20);
}

TEST_F(VolumeObjectsTest, AVolumeThatIsGoneLosesItsObjectOnlyIfThatIsKnown) {
  CoreSnapshot now = snapshot({volume("vm1")});
  const auto there = found({volume("vm1"), volume("vm2")});
  now.volumes_known = false;
  EXPECT_TRUE(changes(now, there, 0).removed.empty());
  now.volumes_known = true;
  const auto gone = changes(now, there, 0);
  ASSERT_EQ(gone.removed.size(), 1u);
  EXPECT_EQ(name_of(*gone.removed[0]), "vm2");
}

TEST_F(VolumeObjectsTest, AnObjectThatAPersonMadeStays) {
  json foreign = volume_object(kCluster, "mine");
  foreign["metadata"].erase("labels");
  EXPECT_TRUE(changes(snapshot({}), {{"ns/mine", std::make_shared<const json>(foreign)}}, 0).removed.empty());
}

TEST_F(VolumeObjectsTest, ThousandsAreMadeInRounds) {
  std::vector<VolumeView> many;
  for (int i = 0; i < 1000; ++i) many.push_back(volume("vm" + std::to_string(i)));
  const auto made = changes(snapshot(many), {}, 0);
  EXPECT_EQ(made.made.size(), VolumeObjects::kMaxChanges);
  EXPECT_EQ(made.put_off, 900u);
}

TEST(VolumeObjectName, IsTheVolumesWhereKubernetesTakesIt) {
  EXPECT_EQ(volume_object_name("pvc-1.x"), "pvc-1.x");
  for (const char* odd : {"a.", "a-", "a..b", "a.-b", "a-.b"}) {
    const std::string name = volume_object_name(odd);
    EXPECT_TRUE(name.starts_with("volume-")) << odd;
    EXPECT_NE(name, volume_object_name("b.")) << odd;
  }
}

TEST(VolumeStatus, TellsTheCopiesOfEachSite) {
  VolumeView view = volume("vm1", 5'000'000);
  view.copies->by_site["b"].whole = false;
  view.publications = {{"n1", "a", true}};
  const json status = volume_status(view, {});
  ASSERT_EQ(status["sites"].size(), 2u);
  EXPECT_EQ(status["sites"][0], json({{"name", "a"}, {"role", "Home"}}));
  EXPECT_EQ(status["sites"][1]["role"], "Copy");
  EXPECT_EQ(status["sites"][1]["whole"], false);
  EXPECT_EQ(status["sites"][1]["lagBytes"], 4'194'304);
  EXPECT_EQ(status["publications"], json::array({{{"node", "n1"}, {"site", "a"}, {"readOnly", true}}}));
  view.copies.reset();
  const json unknown = volume_status(view, {});
  EXPECT_FALSE(unknown.contains("usedBytes") || unknown.contains("lagSeconds"))
      << "nothing is told that is not known";
  EXPECT_FALSE(unknown["sites"][1].contains("lagBytes"));
  EXPECT_EQ(condition(unknown, "Connected")["reason"], "NotAskedYet");
}

}  // namespace
}  // namespace shima
