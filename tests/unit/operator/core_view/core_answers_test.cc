#include "operator/core_view/core_answers.h"

#include <gtest/gtest.h>

#include "operator/core_view/volume_rounds.h"

namespace shima {
namespace {

using Names = std::vector<std::string>;

cluster::v1::GetStatusReply status_of(const Names& healthy, const Names& sick) {
  cluster::v1::GetStatusReply reply;
  reply.set_server("a/core-0");
  reply.set_etcd_reachable(true);
  for (const std::string& name : healthy) {
    auto* volume = reply.add_volumes();
    volume->set_name(name);
    volume->set_healthy(true);
  }
  for (const std::string& name : sick) {
    auto* volume = reply.add_volumes();
    volume->set_name(name);
    volume->add_reasons("server b/core-0 is away");
  }
  return reply;
}

volume::v1::VolumeSummary summary(const std::string& name, const Names& nodes = {}) {
  volume::v1::VolumeSummary out;
  out.set_name(name);
  out.set_home("a");
  out.add_sites("a");
  out.add_sites("b");
  out.set_ack(cluster::v1::ACK_MODE_ALL);
  for (const std::string& node : nodes) out.add_publications()->set_node(node);
  return out;
}

replication::v1::ShowGroupsReply groups(uint32_t primaries, uint64_t lag_bytes, double lag_seconds,
                                        uint32_t first = 0) {
  replication::v1::ShowGroupsReply reply;
  for (uint32_t i = 0; i < primaries; ++i) {
    auto* group = reply.add_groups();
    group->set_index(first + i);
    group->set_role(cluster::v1::MEMBER_ROLE_PRIMARY);
    group->set_block_bytes(100);
    auto* local = group->add_members();
    local->set_role(cluster::v1::MEMBER_ROLE_SECONDARY);
    local->set_site("a");
    auto* remote = group->add_members();
    remote->set_role(cluster::v1::MEMBER_ROLE_REMOTE);
    remote->set_site("b");
    remote->set_connected(true);
    remote->set_whole(i == 0);
    remote->set_lag_bytes(lag_bytes);
    remote->set_lag_seconds(lag_seconds * (i + 1));
  }
  return reply;
}

stats::v1::GetStatsReply numbers(const std::map<std::string, double>& values) {
  stats::v1::GetStatsReply reply;
  for (const auto& [name, value] : values) {
    auto* added = reply.add_values();
    added->set_name(name);
    added->set_value(value);
  }
  return reply;
}

// By the names that coreserver/driver/replication_totals.cc gives.
TEST(CoreAnswers, AServerTellsOfItsGroups) {
  const ServerReplication all = replication_from("a/core-0", "0.1.0",
                                                 numbers({{"primary_groups", 18},
                                                          {"primary_groups_not_serving", 1},
                                                          {"primary_groups_without_second_copy", 2},
                                                          {"remote_members_away", 3},
                                                          {"remote_members_not_whole", 4},
                                                          {"greatest_remote_lag_bytes", 5e9},
                                                          {"greatest_remote_lag_ms", 6000}}));
  EXPECT_EQ(all, (ServerReplication{.server = "a/core-0",
                                    .told = true,
                                    .not_serving = 1,
                                    .without_second_copy = 2,
                                    .remotes_away = 3,
                                    .remotes_not_whole = 4,
                                    .lag_bytes = 5'000'000'000,
                                    .lag_ms = 6000}));
}

TEST(CoreAnswers, WhatAnOlderServerDoesNotTellIsNoReasonToWait) {
  EXPECT_EQ(
      replication_from("a/core-0", "0.1.0", numbers({{"primary_groups", 9}, {"remote_members_away", 3}})),
      (ServerReplication{.server = "a/core-0", .told = true, .remotes_away = 3}));
  EXPECT_EQ(replication_from("a/core-0", "", numbers({{"reads", 9}})),
            (ServerReplication{.server = "a/core-0", .told = false}));
}

TEST(CoreAnswers, AServerThatDoesNotTellOfItsGroupsSaysWhy) {
  EXPECT_EQ(replication_from("a/core-0", "0.1.0", numbers({{"reads", 9}})).error,
            "its groups do not answer in time");
  EXPECT_EQ(replication_from("a/core-0", "", Status(Code::kUnavailable, "connection refused")).error,
            "connection refused");
}

TEST(CoreAnswers, ADiskThatIsFullIsNamed) {
  stats::v1::GetStatsReply reply;
  for (const auto& [path, full] : {std::pair("/disks/0", 0), std::pair("/disks/1", 1)}) {
    auto* disk = reply.add_disks();
    disk->set_path(path);
    for (const char* name : {"journal_syncs", "full"}) {
      auto* value = disk->add_values();
      value->set_name(name);
      value->set_value(std::string_view(name) == "full" ? full : 7);
    }
  }
  EXPECT_EQ(replication_from("a/core-0", "", reply).full_disks, Names{"/disks/1"});
}

TEST(CoreAnswers, HealthNamesTheVolumesThatAreNotWholeWithTheirReasons) {
  auto reply = status_of({"vm1"}, {"vm2"});
  reply.add_servers_away("b/core-0");
  const HealthView health = health_from(reply);
  EXPECT_TRUE(health.answered);
  EXPECT_TRUE(health.etcd_reachable);
  EXPECT_EQ(health.volumes, 2u);
  EXPECT_EQ(health.servers_away, Names{"b/core-0"});
  ASSERT_EQ(health.unhealthy.size(), 1u);
  EXPECT_EQ(health.unhealthy[0].name, "vm2");
  EXPECT_EQ(health.unhealthy[0].reasons, Names{"server b/core-0 is away"});
}

TEST(CoreAnswers, HealthSaysWhyNobodyAnswered) {
  const HealthView health = health_from(Status(Code::kUnavailable, "connection refused"));
  EXPECT_FALSE(health.answered);
  EXPECT_EQ(health.error, "connection refused");
}

TEST(CoreAnswers, VolumesComeByNameWithReasonsAndCopies) {
  const std::map<std::string, KnownCopies> copies{
      {"vm1", {.last = VolumeCopies{.used_bytes = 7}, .old = true}}};
  const auto volumes =
      volumes_from({summary("vm2", {"n2", "n1"}), summary("vm1")}, status_of({"vm1"}, {"vm2"}), copies);
  ASSERT_EQ(volumes.size(), 2u);
  EXPECT_EQ(volumes[0].name, "vm1");
  EXPECT_EQ(volumes[0].ack, "all");
  EXPECT_EQ(volumes[0].copies->used_bytes, 7u);
  EXPECT_TRUE(volumes[0].copies_are_old);
  EXPECT_TRUE(volumes[0].reasons.empty());
  EXPECT_FALSE(volumes[1].copies);
  EXPECT_EQ(volumes[1].reasons, Names{"server b/core-0 is away"});
  ASSERT_EQ(volumes[1].publications.size(), 2u);
  EXPECT_EQ(volumes[1].publications[0].node, "n1");
}

TEST(CoreAnswers, LagIsTheSumAndTheWorstOfTheGroups) {
  VolumeCopies copies;
  std::set<uint32_t> told;
  add_groups(groups(2, 10, 1.5), copies, told);
  add_groups(groups(1, 5, 9, 2), copies, told);
  EXPECT_EQ(told, (std::set<uint32_t>{0, 1, 2}));
  EXPECT_EQ(copies.used_bytes, 300u);
  ASSERT_EQ(copies.by_site.size(), 1u) << "the second copy at home is no other site's";
  const CopyView& copy = copies.by_site.at("b");
  EXPECT_EQ(copy.lag_bytes, 25u);
  EXPECT_DOUBLE_EQ(copy.lag_seconds, 9);
  EXPECT_TRUE(copy.connected);
  EXPECT_FALSE(copy.whole) << "one of its groups is not";
}

TEST(CoreAnswers, AServerThatIsNotThePrimaryTellsNothing) {
  replication::v1::ShowGroupsReply reply;
  reply.add_groups()->set_role(cluster::v1::MEMBER_ROLE_SECONDARY);
  VolumeCopies copies;
  std::set<uint32_t> told;
  add_groups(reply, copies, told);
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(copies, VolumeCopies{});
}

TEST(CoreAnswers, AGroupThatTwoServersAreThePrimaryOfIsCountedOnce) {
  VolumeCopies copies;
  std::set<uint32_t> told;
  add_groups(groups(2, 10, 1), copies, told);
  add_groups(groups(2, 10, 1), copies, told);
  EXPECT_EQ(copies.used_bytes, 200u);
}

TEST(CoreAnswers, TheGroupOfTheMetadataIsOneOfAVolumesGroups) {
  volume::v1::VolumeSummary volume = summary("vm1");
  volume.set_groups(2);
  EXPECT_FALSE(are_all_groups({}, volume));
  EXPECT_FALSE(are_all_groups({1}, volume));
  EXPECT_TRUE(are_all_groups({0, 1}, volume)) << "a server that is too old to say more";
  volume.set_all_groups(3);
  EXPECT_FALSE(are_all_groups({0, 1}, volume));
  EXPECT_TRUE(are_all_groups({0, 1, 2}, volume));
}

TEST(CoreAnswers, HealthOfAVolumeIsKnownFromAServerThatReachesEtcdAndNamesIt) {
  auto status = status_of({"vm1"}, {});
  EXPECT_TRUE(volumes_from({summary("vm1")}, status, {})[0].health_known);
  EXPECT_FALSE(volumes_from({summary("vm2")}, status, {})[0].health_known);
  status.set_etcd_reachable(false);
  EXPECT_FALSE(volumes_from({summary("vm1")}, status, {})[0].health_known);
}

TEST(CoreAnswers, OnlyLivingServersOfTheSiteAreAsked) {
  std::vector<cluster::v1::ServerState> servers(4);
  const auto set = [&](size_t i, const std::string& site, const std::string& address, bool alive) {
    servers[i].mutable_record()->set_site(site);
    servers[i].mutable_record()->mutable_networks()->mutable_control()->set_address(address);
    servers[i].mutable_record()->mutable_networks()->mutable_control()->set_port(7000);
    servers[i].set_alive(alive);
  };
  set(0, "a", "core-0.a", true);
  set(1, "a", "core-1.a", false);
  set(2, "b", "core-0.b", true);
  set(3, "a", "fd00::1", true);
  EXPECT_EQ(control_endpoints(servers, "a"), (Names{"core-0.a:7000", "[fd00::1]:7000"}));
}

TEST(CoreAnswers, FencingTakesAllPublicationsOfANodeAndNoOthers) {
  const auto volumes = volumes_from(
      {summary("vm1", {"lost", "fine"}), summary("vm2", {"lost"}), summary("vm3")}, status_of({}, {}), {});
  const std::vector<std::pair<std::string, std::string>> wanted{{"vm1", "lost"}, {"vm2", "lost"}};
  EXPECT_EQ(publications_to_take(volumes, {"lost", "other"}), wanted);
  EXPECT_TRUE(publications_to_take(volumes, {}).empty());
}

TEST(VolumeRounds, EachVolumeGetsItsTurnWithinItsRound) {
  VolumeRounds rounds;
  const Names names{"a", "b", "c", "d", "e"};
  EXPECT_EQ(rounds.next(names, 2), (Names{"a", "b"}));
  EXPECT_EQ(rounds.next(names, 2), (Names{"c", "d"}));
  EXPECT_EQ(rounds.next(names, 2), (Names{"e", "a"}));
}

TEST(VolumeRounds, GoesOnBehindAVolumeThatIsGone) {
  VolumeRounds rounds;
  rounds.next({"a", "b", "c"}, 2);
  EXPECT_EQ(rounds.next({"a", "c", "d"}, 2), (Names{"c", "d"}));
}

TEST(VolumeRounds, VolumesForWhichThereWasNoTimeComeFirst) {
  VolumeRounds rounds;
  EXPECT_EQ(rounds.next({"a", "b", "c"}, 3), (Names{"a", "b", "c"}));
  rounds.go_on_after("a");
  EXPECT_EQ(rounds.next({"a", "b", "c"}, 3), (Names{"b", "c", "a"}));
}

TEST(VolumeRounds, AsksNoneTwiceInALook) {
  VolumeRounds rounds;
  EXPECT_EQ(rounds.next({"a", "b"}, 10), (Names{"a", "b"}));
  EXPECT_TRUE(rounds.next({}, 10).empty());
}

}  // namespace
}  // namespace shima
