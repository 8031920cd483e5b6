#include "operator/reconcile/volume_objects.h"

#include <gtest/gtest.h>

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

const ClusterIdentity kCluster{"ns", "shima", "uid-1"};

VolumeView volume(const std::string& name, uint64_t lag_bytes = 0) {
  VolumeView view{.name = name, .home = "a", .sites = {"a", "b"}, .ack = "local", .size_bytes = 1 << 20};
  view.copies = VolumeCopies{.used_bytes = 100, .by_site = {{"b", {.lag_bytes = lag_bytes}}}};
  return view;
}

CoreSnapshot snapshot(std::vector<VolumeView> volumes) {
  CoreSnapshot out;
  out.health.answered = true;
  out.volumes_known = true;
  out.volumes = std::move(volumes);
  return out;
}

ObjectMap found(const std::vector<VolumeView>& volumes) {
  ObjectMap map;
  for (const VolumeView& each : volumes) {
    const json object = volume_object(kCluster, each);
    map[key_of(object)] = std::make_shared<const json>(object);
  }
  return map;
}

class VolumeObjectsTest : public testing::Test {
 protected:
  // All that is to be written is written.
  VolumeChanges changes(const CoreSnapshot& now, const ObjectMap& there, uint64_t now_ms) {
    VolumeChanges out = objects_.changes(kCluster, now, there, now_ms);
    for (const auto& [name, object] : out.statuses) objects_.status_written(name, object["status"], now_ms);
    return out;
  }
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
  json object = volume_object(kCluster, volume("vm1"));
  object["status"] = volume_status(volume("vm1"));
  const ObjectMap there{{"ns/vm1", std::make_shared<const json>(object)}};
  EXPECT_TRUE(changes(snapshot({volume("vm1")}), there, 0).statuses.empty());
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
  json foreign = volume_object(kCluster, volume("mine"));
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
  const json status = volume_status(view);
  ASSERT_EQ(status["sites"].size(), 2u);
  EXPECT_EQ(status["sites"][0], json({{"name", "a"}, {"role", "Home"}}));
  EXPECT_EQ(status["sites"][1]["role"], "Copy");
  EXPECT_EQ(status["sites"][1]["whole"], false);
  EXPECT_EQ(status["sites"][1]["lagBytes"], 4'194'304);
  EXPECT_EQ(status["publications"], json::array({{{"node", "n1"}, {"site", "a"}, {"readOnly", true}}}));
  view.copies.reset();
  EXPECT_FALSE(volume_status(view).contains("usedBytes")) << "nothing is told that is not known";
  EXPECT_FALSE(volume_status(view)["sites"][1].contains("lagBytes"));
}

}  // namespace
}  // namespace shima
