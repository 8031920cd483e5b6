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
};

class FakeServers final : public CoreServers {
 public:
  explicit FakeServers(FakeCluster& cluster) : cluster_(cluster) {}

  Result<cluster::v1::GetStatusReply> get_status() override {
    std::lock_guard lock(cluster_.mutex);
    if (cluster_.away) return Status(Code::kUnavailable, "connection refused");
    cluster::v1::GetStatusReply reply;
    reply.set_etcd_reachable(cluster_.etcd_reachable);
    auto* volume = reply.add_volumes();
    volume->set_name("vm1");
    volume->set_healthy(true);
    return reply;
  }

  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    std::lock_guard lock(cluster_.mutex);
    volume::v1::VolumeSummary summary;
    summary.set_name("vm1");
    summary.set_home("a");
    for (const std::string& node : cluster_.nodes) summary.add_publications()->set_node(node);
    return std::vector{summary};
  }

  Result<std::vector<cluster::v1::ServerState>> list_servers() override {
    cluster::v1::ServerState server;
    server.set_alive(true);
    server.mutable_record()->set_site("a");
    server.mutable_record()->mutable_networks()->mutable_control()->set_address("core-0.a");
    server.mutable_record()->mutable_networks()->mutable_control()->set_port(7000);
    return std::vector{server};
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
    if (endpoint != "core-0.a:7000" || volume != "vm1") return Status(Code::kNotFound, "asked somebody else");
    ++cluster_.details;
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
            {.interval_ms = 20}, real_clock(),
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
    const bool in_time = changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      found = watch_.snapshot();
      return condition(*found);
    });
    EXPECT_TRUE(in_time) << "the wanted state did not come within 20 s";
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
