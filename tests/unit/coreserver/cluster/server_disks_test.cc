#include "coreserver/cluster/server_disks.h"

#include <gtest/gtest.h>

#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

constexpr int64_t kThen = 1'763'856'000'000;  // 2025-11-23
constexpr int64_t kNow = kThen + 86'400'000;
const std::string kServer = "site-a/core-0";

DiskHistory known(std::vector<KnownDisk> disks, std::vector<ForgottenDiskInfo> forgotten = {}) {
  return {.record = ServerDisks{kServer, std::move(disks), std::move(forgotten), EtcdRevision(7)},
          .has_started_before = true};
}

std::string refusal(const DiskHistory& history, const std::vector<FoundDisk>& found) {
  const auto record = accept_disks(kServer, history, found, kNow);
  EXPECT_EQ(record.status().code(), Code::kFailedPrecondition);
  return record.status().message();
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(AcceptDisks, AFirstStartMayFindEmptyDirectories) {
  const auto record = accept_disks(kServer, {}, {{"/d0", 0}, {"/d1", 0}}, kNow);
  ASSERT_TRUE(record) << record.status().to_string();
  EXPECT_TRUE(record->disks.empty());
}

TEST(AcceptDisks, WhatNobodyKnowsIsPutOnRecord) {
  const auto record = accept_disks(kServer, {}, {{"/d0", 5}, {"/d1", 6}}, kNow);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->name, kServer);
  EXPECT_EQ(record->disks, (std::vector<KnownDisk>{{5, "/d0", kNow}, {6, "/d1", kNow}}));
}

TEST(AcceptDisks, DataThatThisEtcdDoesNotKnowIsRefused) {
  const std::string why = refusal({}, {{"/d0", 5}, {"/d1", 6, {"volume db", "volume web"}}});
  EXPECT_TRUE(says(why, "data of volume db, volume web on disk 0000000000000006 at /d1")) << why;
  EXPECT_TRUE(says(why, "this etcd knows neither site-a/core-0 nor its disks")) << why;
  EXPECT_TRUE(says(why, "restore its snapshot")) << why;
}

TEST(AcceptDisks, DataOnDisksThatAreOnRecordIsExpected) {
  EXPECT_TRUE(accept_disks(kServer, known({{5, "/d0", kThen}}), {{"/d0", 5, {"volume db"}}}, kNow));
}

TEST(AcceptDisks, ServersFromBeforeTheRecordAreAdopted) {
  const auto record =
      accept_disks(kServer, {.record = {}, .has_started_before = true}, {{"/d0", 5, {"volume db"}}}, kNow);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->disks.size(), 1u);
}

TEST(AcceptDisks, ServersFromBeforeTheRecordMayNotBeginWithAnEmptyDirectory) {
  const std::string why = refusal({.record = {}, .has_started_before = true}, {{"/d0", 5}, {"/d1", 0}});
  EXPECT_TRUE(says(why, "/d1 has no superblock")) << why;
  EXPECT_TRUE(says(why, "forget-disk site-a/core-0 unrecorded")) << why;
}

TEST(AcceptDisks, AnEmptyDirectoryInTheDisksPlaceIsRefusedInWords) {
  const std::string why = refusal(known({{0xabc, "/d0", kThen}}), {{"/d0", 0}});
  EXPECT_TRUE(says(why, "disk 0000000000000abc of site-a/core-0, at /d0 since 2025-11-23")) << why;
  EXPECT_TRUE(says(why, "/d0 has no superblock")) << why;
  EXPECT_TRUE(says(why, "shimactl server forget-disk site-a/core-0 0000000000000abc")) << why;
}

TEST(AcceptDisks, AnotherDiskInItsPlaceIsRefused) {
  EXPECT_TRUE(says(refusal(known({{5, "/d0", kThen}}), {{"/d0", 6}}), "/d0 has disk 0000000000000006"));
}

TEST(AcceptDisks, ADiskThatIsNotInTheConfigurationIsMissed) {
  EXPECT_TRUE(says(refusal(known({{5, "/d0", kThen}, {6, "/d1", kThen}}), {{"/d0", 5}}), "in none of"));
}

TEST(AcceptDisks, AnEmptyDirectoryBesideAllKnownDisksIsANewOne) {
  const DiskHistory history = known({{5, "/d0", kThen}});
  const auto record = accept_disks(kServer, history, {{"/d0", 5}, {"/d1", 0}}, kNow);
  ASSERT_TRUE(record);
  EXPECT_EQ(*record, *history.record);
  EXPECT_EQ(accept_disks(kServer, history, {{"/d0", 5}, {"/d1", 6}}, kNow)->disks.size(), 2u);
}

TEST(AcceptDisks, ADiskMayMoveToAnotherPath) {
  const auto record = accept_disks(kServer, known({{5, "/d0", kThen}}), {{"/elsewhere", 5}}, kNow);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->disks, (std::vector<KnownDisk>{{5, "/elsewhere", kThen}}));
}

TEST(AcceptDisks, AForgottenDiskIsNotTakenBack) {
  const std::string why = refusal(known({}, {{5, kThen}}), {{"/d0", 5}});
  EXPECT_TRUE(says(why, "forgotten as lost on 2025-11-23")) << why;
}

TEST(AcceptDisks, OneDiskAtTwoPathsIsRefused) {
  EXPECT_TRUE(says(refusal(known({{5, "/d0", kThen}}), {{"/d0", 5}, {"/d1", 5}}), "both at /d0 and at /d1"));
}

TEST(WithoutDisk, ForgetsItAndIsRepeatable) {
  const auto record = without_disk(kServer, known({{5, "/d0", kThen}, {6, "/d1", kThen}}), 5, kNow);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->disks, (std::vector<KnownDisk>{{6, "/d1", kThen}}));
  EXPECT_EQ(record->forgotten, (std::vector<ForgottenDiskInfo>{{5, kNow}}));
  EXPECT_EQ(*without_disk(kServer, {.record = *record, .has_started_before = true}, 5, kNow + 1), *record);
}

TEST(WithoutDisk, AfterItAnEmptyDirectoryIsAccepted) {
  const auto record = without_disk(kServer, known({{5, "/d0", kThen}}), 5, kNow);
  ASSERT_TRUE(record);
  EXPECT_TRUE(accept_disks(kServer, {.record = *record, .has_started_before = true}, {{"/d0", 0}}, kNow));
}

TEST(WithoutDisk, SaysWhatItDoesNotKnow) {
  EXPECT_EQ(without_disk(kServer, known({{5, "/d0", kThen}}), 9, kNow).status().code(), Code::kNotFound);
  EXPECT_EQ(without_disk(kServer, {}, 9, kNow).status().code(), Code::kNotFound);
}

TEST(WithoutDisk, UnrecordedIsOnlyForServersWithoutARecord) {
  EXPECT_EQ(without_disk(kServer, known({{5, "/d0", kThen}}), 0, kNow).status().code(),
            Code::kFailedPrecondition);
  const auto record = without_disk(kServer, {.record = {}, .has_started_before = true}, 0, kNow);
  ASSERT_TRUE(record);
  EXPECT_TRUE(accept_disks(kServer, {.record = *record, .has_started_before = true}, {{"/d0", 0}}, kNow));
}

TEST(WithoutDisk, RemembersTheNewestHundred) {
  DiskHistory history = known({});
  for (uint64_t id = 1; id <= kMaxForgottenDisks; ++id) history.record->forgotten.push_back({id, kThen});
  history.record->disks = {{500, "/d0", kThen}};
  const auto record = without_disk(kServer, history, 500, kNow);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->forgotten.size(), kMaxForgottenDisks);
  EXPECT_EQ(record->forgotten.front().id, 2u);
  EXPECT_EQ(record->forgotten.back().id, 500u);
}

// Servers 1 and 2 at home, 3 at site-b, 4 at site-c; server 1 leads group 0, server 2 group 1.
ClusterState with_volume() {
  ClusterState state = sample_state();
  state.volumes["db"] = sample_volume();
  return state;
}

Status lost(ClusterState state, uint64_t server) {
  state.servers[ServerId(server)].alive = false;
  return may_lose_disks(state, state.servers[ServerId(server)]);
}

TEST(MayLoseDisks, ARemoteMayWhileItsPrimariesAreThere) { EXPECT_TRUE(lost(with_volume(), 3)); }

TEST(MayLoseDisks, ASecondaryMayWhileItsPrimariesAreThere) {
  ClusterState state = with_volume();
  state.volumes["db"].groups.pop_back();
  EXPECT_TRUE(lost(state, 2));
}

TEST(MayLoseDisks, APrimaryMayNotAndTheVolumeIsNamed) {
  const Status why = lost(with_volume(), 1);
  EXPECT_EQ(why.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(says(why.message(), "is the primary of groups of volume db")) << why.message();
}

TEST(MayLoseDisks, APrimaryOfWhatIsBeingDeletedMay) {
  ClusterState state = with_volume();
  state.volumes["db"].deleting = true;
  EXPECT_TRUE(lost(state, 1));
}

TEST(MayLoseDisks, NotWhileThePrimaryIsAway) {
  ClusterState state = with_volume();
  state.servers[ServerId(1)].alive = false;
  const Status why = lost(state, 3);
  EXPECT_EQ(why.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(says(why.message(), "site-a/core-0, the primary of its groups, is away")) << why.message();
}

TEST(MayLoseDisks, NotWhileItRuns) {
  const ClusterState state = with_volume();
  EXPECT_EQ(may_lose_disks(state, state.servers.at(ServerId(3))).code(), Code::kFailedPrecondition);
}

TEST(MayLoseDisks, NotWhileAVolumesRecordCannotBeRead) {
  ClusterState state = with_volume();
  state.unreadable["/shima/v1/volumes/odd"] = "found version 9";
  EXPECT_EQ(lost(state, 3).code(), Code::kFailedPrecondition);
}

TEST(DiskId, IsWrittenAndReadAsSixteenDigits) {
  EXPECT_EQ(disk_id_text(0xabc), "0000000000000abc");
  EXPECT_EQ(*disk_id_from("0000000000000abc"), 0xabcu);
  EXPECT_EQ(*disk_id_from("unrecorded"), 0u);
  for (const char* bad :
       {"", "abc", "0000000000000000", "0000000000000ABC", "00000000000000abcd", "-000000000000abc"})
    EXPECT_EQ(disk_id_from(bad).status().code(), Code::kInvalidArgument) << bad;
}

}  // namespace
}  // namespace shima
