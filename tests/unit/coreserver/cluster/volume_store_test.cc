// VolumeStore against a real etcd.
#include "coreserver/cluster/volume_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/coreserver/cluster/cluster_fixture.h"

namespace shima {
namespace {

using replication::Role;

TEST_F(Cluster, AVolumeIsMadeWithItsMembersAndTheirIncarnations) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  EXPECT_EQ(v, store_.get("db").value());
  EXPECT_EQ(v.home, "site-a");
  EXPECT_EQ(v.data_groups(), 8u);
  EXPECT_EQ(v.member_servers().size(), 6u);
  EXPECT_EQ(v.groups[0].members[0].incarnation, Incarnation(1));
  EXPECT_EQ(create("db").status().code(), Code::kAlreadyExists);
  EXPECT_GT(create("db2")->id, v.id);
  EXPECT_EQ(store_.list()->size(), 2u);
  EXPECT_EQ(store_.get("none").status().code(), Code::kNotFound);
}

TEST_F(Cluster, OfRacingCreationsOfANameOneWins) {
  enter_three_sites();
  std::atomic<int> made{0}, existed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      Result<VolumeInfo> v = create("db");
      if (v)
        ++made;
      else if (v.status().code() == Code::kAlreadyExists)
        ++existed;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(existed, 5);
}

TEST_F(Cluster, ARestartClaimsEveryVolumeOfTheServer) {
  enter_three_sites();
  ASSERT_TRUE(create("db"));
  ASSERT_TRUE(create("db2"));
  ServerId id = servers_[0]->id();
  servers_[0].reset();
  servers_[0] = enter(server_spec("site-a/core-0"));
  auto claimed = store_.claim_restart(id, servers_[0]->incarnation()).value();
  ASSERT_EQ(claimed.size(), 2u);
  for (const VolumeInfo& v : claimed) {
    EXPECT_EQ(v.config_version, ConfigVersion(2));
    for (const GroupInfo& g : v.groups) {
      bool primary = g.find(id) && g.find(id)->role == Role::kPrimary;
      if (g.find(id)) {
        EXPECT_EQ(g.find(id)->incarnation, Incarnation(2));
      }
      EXPECT_EQ(g.term, primary ? Term(2) : Term(1));
    }
  }
  EXPECT_EQ(store_.claim_restart(id, servers_[0]->incarnation()).value(), claimed);
  EXPECT_EQ(store_.claim_restart(id, Incarnation(1)).status().code(), Code::kStaleTerm);
}

TEST_F(Cluster, RacingChangesOfOneVolumeAllArrive) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (const auto& server : servers_) {
    threads.emplace_back([&, id = server->id()] { failed += !store_.claim_restart(id, Incarnation(5)); });
  }
  threads.emplace_back([&] { failed += !store_.set_quotas("db", 1 << 30); });
  for (auto& t : threads) t.join();
  VolumeInfo now = store_.get("db").value();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(now.config_version.value, v.config_version.value + 7);
  EXPECT_EQ(now.size_bytes, 1u << 30);
  for (const GroupInfo& g : now.groups) {
    EXPECT_EQ(g.term, Term(2));
    for (const MemberInfo& m : g.members) EXPECT_EQ(m.incarnation, Incarnation(5));
  }
}

TEST_F(Cluster, MembershipIsChangedByThePrimarysTermOnly) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  ServerId remote = v.groups[3].members[2].server;
  VolumeInfo now =
      store_.update_memberships("db", {{GroupIndex(3), Term(1), v.config_version, remote, false, false}})
          .value();
  EXPECT_FALSE(now.groups[3].find(remote)->whole);
  EXPECT_EQ(
      store_.update_memberships("db", {{GroupIndex(3), Term(7), now.config_version, remote, true, true}})
          .status()
          .code(),
      Code::kStaleTerm);
}

TEST_F(Cluster, TheLastMemberThatDropsRemovesTheRecord) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  EXPECT_EQ(store_.confirm_dropped("db", v.id, servers_[0]->id()).code(), Code::kFailedPrecondition);
  ASSERT_TRUE(store_.mark_deleting("db"));
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (const auto& server : servers_) {
    threads.emplace_back(
        [&, id = server->id()] { failed += !store_.confirm_dropped("db", v.id, id).is_ok(); });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(store_.get("db").status().code(), Code::kNotFound);
  EXPECT_TRUE(store_.confirm_dropped("db", v.id, servers_[0]->id()));
  VolumeInfo next = create("db").value();
  EXPECT_GT(next.id, v.id);
  ASSERT_TRUE(store_.confirm_dropped("db", v.id, servers_[0]->id()));  // of the old volume: nothing happens
  EXPECT_EQ(store_.get("db").value(), next);
}

// R4: etcd does not answer, then does. Whatever became of the first request, the claim ends made, and made
// once.
TEST_F(ClusterWithEtcdAway, AClaimWithAnUnknownOutcomeEndsMadeExactlyOnce) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  ServerId primary = v.groups[0].members[0].server;
  for (uint64_t round = 2; round <= 4; ++round) {
    std::thread frozen([&] {
      server_.freeze();
      std::this_thread::sleep_for(std::chrono::milliseconds(4000));
      server_.thaw();
    });
    VolumeStore patient(*hasty_, kPatientMs);
    Result<VolumeInfo> claimed = patient.claim_volume("db", primary, Incarnation(round));
    frozen.join();
    ASSERT_TRUE(claimed) << claimed.status().to_string();
    EXPECT_EQ(claimed->groups[0].term, Term(round));
    EXPECT_EQ(store_.get("db").value(), *claimed);
  }
}

TEST_F(ClusterWithEtcdAway, AClaimThatRunsOutOfTimeSaysWhetherItMayYetBeMade) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  server_.kill();
  VolumeStore hurried(*hasty_, 1000);
  Status s = hurried.claim_volume("db", v.groups[0].members[0].server, Incarnation(2)).status();
  EXPECT_EQ(s.code(), Code::kUnavailable) << s.to_string();  // it was never sent
  server_.start();
}

}  // namespace
}  // namespace shima
