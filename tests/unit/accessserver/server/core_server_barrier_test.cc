#include "accessserver/server/core_server_barrier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>

namespace shima {
namespace {

constexpr EtcdRevision kTaken(42);

// A cluster whose core servers are alive, and answer, as the test says.
class Cluster {
 public:
  void set(std::vector<AliveCoreServer> servers) {
    std::lock_guard lock(mutex_);
    alive_ = std::move(servers);
  }
  void silence(uint64_t server, bool silent) {
    std::lock_guard lock(mutex_);
    silent ? void(silent_.insert(server)) : void(silent_.erase(server));
  }
  int asked(uint64_t server) {
    std::lock_guard lock(mutex_);
    return asked_[server];
  }
  CoreServerBarrier barrier() {
    return {[this](EtcdRevision revision) -> Result<std::vector<AliveCoreServer>> {
              std::lock_guard lock(mutex_);
              EXPECT_EQ(revision, kTaken);
              if (view_failures_ > 0) {
                view_failures_--;
                return Status(Code::kDeadlineExceeded, "the view is behind");
              }
              return alive_;
            },
            [this](const AliveCoreServer& server, EtcdRevision revision) {
              std::lock_guard lock(mutex_);
              EXPECT_EQ(revision, kTaken);
              if (++asked_[server.id] == 3 && on_third_) on_third_();
              return silent_.contains(server.id) ? Status(Code::kUnavailable, "no answer") : Status::ok();
            },
            1};
  }

  int view_failures_ = 0;
  std::function<void()> on_third_;  // inside the third question to a server
  std::vector<AliveCoreServer> alive_;

 private:
  std::mutex mutex_;
  std::set<uint64_t> silent_;
  std::map<uint64_t, int> asked_;
};

AliveCoreServer server(uint64_t id, uint64_t incarnation = 1) {
  return {id, incarnation, "site-a/core-" + std::to_string(id), "10.1.0." + std::to_string(id) + ":7000"};
}

bool always() { return true; }

TEST(CoreServerBarrier, EveryServerIsAskedAndThoseThatAnsweredOnce) {
  Cluster cluster;
  cluster.set({server(1), server(2), server(3)});
  cluster.silence(2, true);
  cluster.on_third_ = [&] { cluster.alive_ = {server(1), server(3)}; };  // the silent one's lease is over
  EXPECT_TRUE(cluster.barrier().wait(kTaken, always).is_ok());
  EXPECT_EQ(cluster.asked(1), 1);
  EXPECT_EQ(cluster.asked(2), 3);
  EXPECT_EQ(cluster.asked(3), 1);
}

TEST(CoreServerBarrier, ASilentServerThatIsAliveHoldsItUp) {
  Cluster cluster;
  cluster.set({server(1), server(2)});
  cluster.silence(2, true);
  std::atomic<int> left{5};
  const Status status = cluster.barrier().wait(kTaken, [&] { return left-- > 0; });
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("site-a/core-2"), std::string::npos) << status.message();
  cluster.silence(2, false);
  EXPECT_TRUE(cluster.barrier().wait(kTaken, always).is_ok());
}

TEST(CoreServerBarrier, AServerThatStartedAnewMeanwhileIsAskedAnew) {
  Cluster cluster;
  cluster.set({server(1), server(2)});
  cluster.silence(2, true);
  cluster.on_third_ = [&] { cluster.alive_ = {server(1, 2)}; };
  EXPECT_TRUE(cluster.barrier().wait(kTaken, always).is_ok());
  EXPECT_EQ(cluster.asked(1), 2);
}

TEST(CoreServerBarrier, NothingIsKnownOfServersBeforeTheViewHasTheRevision) {
  Cluster cluster;
  cluster.set({server(1)});
  cluster.view_failures_ = 3;
  EXPECT_TRUE(cluster.barrier().wait(kTaken, always).is_ok());
  EXPECT_EQ(cluster.asked(1), 1);
}

}  // namespace
}  // namespace shima
