#include "operator/core_view/core_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "operator/core_view/core_servers.h"

namespace shima {
namespace {

// A cluster of one volume, vm1, at home in site a with one server, and a copy in b.
struct FakeCluster {
  std::mutex mutex;
  bool away = false;
  bool etcd_reachable = true;
  std::set<std::string> nodes;         // that vm1 is published to
  std::set<std::string> well;          // nodes that may not be fenced
  uint32_t refusals = 0;               // of unpublish, before it is done
  std::vector<std::string> endpoints;  // that were connected to last
  uint32_t details = 0;                // calls of show_groups
  std::vector<std::string> volumes{"vm1"};
  uint32_t groups = 1;         // of each, one of which a/core-0 is the primary of
  bool home_has_lease = true;  // a/core-0
  bool home_hangs = false;     // does not answer show_groups
  bool lists_servers = true;
  Status stats;               // why core-0 of site a does not say how its groups are
  uint32_t remotes_away = 0;  // of its groups
  bool disk_is_full = false;  // its only one
};

class FakeServers final : public CoreServers {
 public:
  explicit FakeServers(FakeCluster& cluster) : cluster_(cluster) {}

  Result<cluster::v1::GetStatusReply> get_status() override {
    std::lock_guard lock(cluster_.mutex);
    if (cluster_.away) return Status(Code::kUnavailable, "connection refused");
    cluster::v1::GetStatusReply reply;
    reply.set_etcd_reachable(cluster_.etcd_reachable);
    for (const std::string& name : cluster_.volumes) {
      auto* volume = reply.add_volumes();
      volume->set_name(name);
      volume->set_healthy(true);
    }
    return reply;
  }

  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    std::lock_guard lock(cluster_.mutex);
    std::vector<volume::v1::VolumeSummary> list;
    for (const std::string& name : cluster_.volumes) {
      auto& summary = list.emplace_back();
      summary.set_name(name);
      summary.set_home("a");
      summary.set_all_groups(cluster_.groups);
    }
    for (const std::string& node : cluster_.nodes) list.front().add_publications()->set_node(node);
    return list;
  }

  Result<std::vector<cluster::v1::ServerState>> list_servers() override {
    std::lock_guard lock(cluster_.mutex);
    if (!cluster_.lists_servers) return Status(Code::kUnavailable, "no list");
    cluster::v1::ServerState server;
    server.set_alive(cluster_.home_has_lease);
    server.mutable_record()->set_name("a/core-0");
    server.mutable_record()->set_site("a");
    server.mutable_record()->mutable_networks()->mutable_control()->set_address("core-0.a");
    server.mutable_record()->mutable_networks()->mutable_control()->set_port(7000);
    cluster::v1::ServerState gone = server;
    gone.set_alive(false);
    gone.mutable_record()->set_name("a/core-1");
    return std::vector{server, gone};
  }

  Result<stats::v1::GetStatsReply> get_stats(const std::string& endpoint) override {
    std::lock_guard lock(cluster_.mutex);
    if (endpoint != "core-0.a:7000") return Status(Code::kNotFound, "asked somebody else");
    if (!cluster_.stats) return cluster_.stats;
    stats::v1::GetStatsReply reply;
    reply.add_values()->set_name("primary_groups");
    auto* away = reply.add_values();
    away->set_name("remote_members_away");
    away->set_value(cluster_.remotes_away);
    auto* disk = reply.add_disks();
    disk->set_path("/disks/0");
    disk->add_values()->set_name("full");
    disk->mutable_values(0)->set_value(cluster_.disk_is_full);
    return reply;
  }

  Status unpublish(const std::string&, const std::string& node) override {
    std::lock_guard lock(cluster_.mutex);
    if (cluster_.refusals > 0) {
      --cluster_.refusals;
      return {Code::kUnavailable, "a primary has not said so yet"};
    }
    cluster_.nodes.erase(node);
    return Status::ok();
  }

  Result<replication::v1::ShowGroupsReply> show_groups(const std::string& endpoint,
                                                       const std::string& volume) override {
    std::lock_guard lock(cluster_.mutex);
    if (endpoint != "core-0.a:7000" || !volume.starts_with("vm"))
      return Status(Code::kNotFound, "asked somebody else");
    ++cluster_.details;
    if (cluster_.home_hangs) return Status(Code::kUnavailable, "no core server answered within 1000 ms");
    replication::v1::ShowGroupsReply reply;
    auto* group = reply.add_groups();
    group->set_role(cluster::v1::MEMBER_ROLE_PRIMARY);
    group->set_block_bytes(4096);
    auto* remote = group->add_members();
    remote->set_role(cluster::v1::MEMBER_ROLE_REMOTE);
    remote->set_site("b");
    remote->set_connected(true);
    remote->set_lag_bytes(17);
    return reply;
  }

 private:
  FakeCluster& cluster_;
};

class CoreWatchTest : public testing::Test {
 protected:
  CoreWatchTest()
      : watch_(
            [this](const std::vector<std::string>& endpoints) {
              std::lock_guard lock(cluster_.mutex);
              cluster_.endpoints = endpoints;
              return std::make_unique<FakeServers>(cluster_);
            },
            {.interval_ms = 20, .details_old_ms = 100}, real_clock(),
            [this](const std::string& node) {
              std::lock_guard lock(cluster_.mutex);
              return !cluster_.well.contains(node);
            },
            [this] {
              std::lock_guard lock(mutex_);
              ++looks_;
              changed_.notify_all();
            }) {}

  // The snapshot, once it is as wanted.
  template <typename Condition>
  std::shared_ptr<const CoreSnapshot> wait_for(Condition condition) {
    std::unique_lock lock(mutex_);
    std::shared_ptr<const CoreSnapshot> found;
    const bool in_time = changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      found = watch_.snapshot();
      return condition(*found);
    });
    EXPECT_TRUE(in_time) << "the wanted state did not come within 60 s";
    return found;
  }

  FakeCluster cluster_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t looks_ = 0;
  CoreWatch watch_;
};

TEST_F(CoreWatchTest, SaysThatNobodyWasAskedBeforeThereAreServers) {
  EXPECT_FALSE(watch_.snapshot()->health.answered);
  watch_.start();
  const auto found = wait_for([](const CoreSnapshot& s) { return s.number > 0; });
  EXPECT_FALSE(found->health.answered);
  EXPECT_FALSE(found->health.error.empty());
  EXPECT_FALSE(found->volumes_known);
}

TEST_F(CoreWatchTest, TellsHealthVolumesAndLag) {
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto found =
      wait_for([](const CoreSnapshot& s) { return s.volumes.size() == 1 && s.volumes[0].copies; });
  EXPECT_TRUE(found->health.answered);
  EXPECT_TRUE(found->volumes_known);
  EXPECT_EQ(found->volumes[0].copies->used_bytes, 4096u);
  EXPECT_EQ(found->volumes[0].copies->by_site.at("b").lag_bytes, 17u);
  std::lock_guard lock(cluster_.mutex);
  EXPECT_EQ(cluster_.endpoints, std::vector<std::string>{"one:7000"});
}

TEST_F(CoreWatchTest, EachServerWithALeaseTellsOfItsGroupsOrWhyItDoesNot) {
  cluster_.remotes_away = 3;
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto told = wait_for([](const CoreSnapshot& s) { return s.health.answered; });
  EXPECT_EQ(told->health.replication_error, "");
  EXPECT_EQ(told->health.replication,
            (std::vector<ServerReplication>{{.server = "a/core-0", .told = true, .remotes_away = 3}}));
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.stats = Status(Code::kDeadlineExceeded, "it hangs");
  }
  const auto hangs = wait_for([](const CoreSnapshot& s) {
    return s.health.replication.size() == 1 && !s.health.replication[0].error.empty();
  });
  EXPECT_EQ(hangs->health.replication[0].error, "it hangs");
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.lists_servers = false;
  }
  const auto nobody = wait_for([](const CoreSnapshot& s) { return s.health.replication.empty(); });
  EXPECT_EQ(nobody->health.replication_error, "no list");
}

TEST_F(CoreWatchTest, AFullDiskStaysFullWhileItsServerDoesNotAnswer) {
  const auto is_told = [](const CoreSnapshot& s, bool answers, bool full) {
    return s.health.replication.size() == 1 && s.health.replication[0].error.empty() == answers &&
           s.health.replication[0].full_disks.empty() != full;
  };
  cluster_.disk_is_full = true;
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  wait_for([&](const CoreSnapshot& s) { return is_told(s, true, true); });
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.stats = Status(Code::kDeadlineExceeded, "it hangs");
    cluster_.disk_is_full = false;
  }
  wait_for([&](const CoreSnapshot& s) { return is_told(s, false, true); });
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.lists_servers = false;
  }
  wait_for(
      [&](const CoreSnapshot& s) { return is_told(s, false, true) && !s.health.replication_error.empty(); });
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.lists_servers = true;
    cluster_.stats = Status::ok();
  }
  wait_for([&](const CoreSnapshot& s) { return is_told(s, true, false); });
}

TEST_F(CoreWatchTest, OfHalfAVolumesGroupsNothingIsTold) {
  cluster_.groups = 2;
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto found =
      wait_for([](const CoreSnapshot& s) { return s.volumes.size() == 1 && s.volumes[0].copies_are_old; });
  EXPECT_FALSE(found->volumes[0].copies);
}

TEST_F(CoreWatchTest, WhatWasToldOfCopiesLastStaysAndIsCalledOld) {
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto is_old = [](const CoreSnapshot& s) {
    return s.volumes.size() == 1 && s.volumes[0].copies_are_old;
  };
  const auto is_new = [](const CoreSnapshot& s) {
    return s.volumes.size() == 1 && s.volumes[0].copies && !s.volumes[0].copies_are_old;
  };
  const auto set = [this](auto change) {
    std::lock_guard lock(cluster_.mutex);
    change();
  };
  wait_for(is_new);
  set([this] { cluster_.groups = 2; });  // whose other primary is lost
  const auto half = wait_for(is_old);
  EXPECT_EQ(half->volumes[0].copies->used_bytes, 4096u);
  EXPECT_GT(half->volumes[0].copies->told_ms, 0u);
  EXPECT_LT(half->volumes[0].copies->told_ms, half->taken_ms) << "the time of what is shown";
  set([this] { cluster_.groups = 1; });
  wait_for(is_new);
  set([this] { cluster_.home_has_lease = false; });
  EXPECT_EQ(wait_for(is_old)->volumes[0].copies->used_bytes, 4096u);
  set([this] { cluster_.home_has_lease = true; });
  wait_for(is_new);
  set([this] { cluster_.lists_servers = false; });
  wait_for(is_old);
}

TEST_F(CoreWatchTest, CopiesOfAHomeThatIsAwayAreOldBeforeItIsTheirTurnToBeAskedFor) {
  cluster_.volumes.clear();
  for (int i = 0; i < 2'000; ++i) cluster_.volumes.push_back("vm" + std::to_string(i));
  cluster_.home_has_lease = false;
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto found = wait_for([](const CoreSnapshot& s) { return s.volumes.size() == 2'000; });
  for (const VolumeView& volume : found->volumes) ASSERT_TRUE(volume.copies_are_old) << volume.name;
}

TEST_F(CoreWatchTest, AServerThatDoesNotAnswerIsAskedForDetailsOnceALook) {
  cluster_.volumes = {"vm1", "vm2", "vm3"};
  cluster_.home_hangs = true;
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto found = wait_for([](const CoreSnapshot& s) { return s.number >= 3; });
  for (const VolumeView& volume : found->volumes) EXPECT_TRUE(volume.copies_are_old) << volume.name;
  watch_.stop();
  std::lock_guard lock(cluster_.mutex);
  EXPECT_LE(cluster_.details, watch_.snapshot()->number);
}

TEST_F(CoreWatchTest, TellsWhenAServerThatReachesEtcdAnsweredLast) {
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto well = wait_for([](const CoreSnapshot& s) { return s.volumes_known; });
  EXPECT_EQ(well->told_ms, well->taken_ms);
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.etcd_reachable = false;
  }
  const auto cut =
      wait_for([](const CoreSnapshot& s) { return s.health.answered && !s.health.etcd_reachable; });
  EXPECT_GE(cut->told_ms, well->told_ms);
  EXPECT_LT(cut->told_ms, cut->taken_ms);
}

TEST_F(CoreWatchTest, VolumesAreNotKnownWhileEtcdIsAway) {
  cluster_.etcd_reachable = false;
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  const auto found = wait_for([](const CoreSnapshot& s) { return s.health.answered; });
  EXPECT_FALSE(found->volumes_known);
}

TEST_F(CoreWatchTest, SaysSoWhenServersGoAwayAndComeBack) {
  watch_.set_endpoints({"one:7000"});
  watch_.start();
  wait_for([](const CoreSnapshot& s) { return s.health.answered; });
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.away = true;
  }
  const auto lost = wait_for([](const CoreSnapshot& s) { return !s.health.answered; });
  EXPECT_EQ(lost->health.error, "connection refused");
  EXPECT_TRUE(lost->volumes.empty());
  {
    std::lock_guard lock(cluster_.mutex);
    cluster_.away = false;
  }
  wait_for([](const CoreSnapshot& s) { return s.health.answered && s.volumes_known; });
}

TEST_F(CoreWatchTest, FencesANodeAgainAndAgainUntilItIsDone) {
  cluster_.nodes = {"lost", "fine"};
  cluster_.refusals = 2;
  watch_.set_endpoints({"one:7000"});
  watch_.set_out_of_service({"lost"});
  watch_.start();
  wait_for(
      [](const CoreSnapshot& s) { return s.volumes.size() == 1 && s.volumes[0].publications.size() == 1; });
  const auto results = watch_.take_fenced();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_FALSE(results[0].status);
  EXPECT_FALSE(results[1].status);
  EXPECT_TRUE(results[2].status);
  EXPECT_EQ(results[2].node, "lost");
  EXPECT_EQ(results[2].volume, "vm1");
  EXPECT_TRUE(watch_.take_fenced().empty());
  std::lock_guard lock(cluster_.mutex);
  EXPECT_EQ(cluster_.nodes, std::set<std::string>{"fine"});
}

TEST_F(CoreWatchTest, ANodeThatIsWellAgainIsNotFencedThoughItWasGivenAsLost) {
  cluster_.nodes = {"back", "lost"};
  cluster_.well = {"back"};
  watch_.set_endpoints({"one:7000"});
  watch_.set_out_of_service({"back", "lost"});
  watch_.start();
  wait_for(
      [](const CoreSnapshot& s) { return s.volumes.size() == 1 && s.volumes[0].publications.size() == 1; });
  for (const FencingResult& each : watch_.take_fenced()) EXPECT_EQ(each.node, "lost");
  std::lock_guard lock(cluster_.mutex);
  EXPECT_EQ(cluster_.nodes, std::set<std::string>{"back"});
}

}  // namespace
}  // namespace shima
