// What runs in threads of its own: the watcher, the election, the queue; against the stand-in's store.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "common/kubernetes/api_client.h"
#include "common/kubernetes/blocking_work_queue.h"
#include "common/kubernetes/leader_election.h"
#include "common/kubernetes/object_watcher.h"
#include "tests/unit/common/kubernetes/api_server_fixture.h"

namespace shima {
namespace {

using nlohmann::json;

const ResourceKind kMap{"v1", "ConfigMap", "configmaps"};
const ResourceKind kLease{"coordination.k8s.io/v1", "Lease", "leases"};

bool soon(const std::function<bool()>& condition, int within_ms = 60'000) {
  for (int waited = 0; waited < within_ms; waited += 10) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

uint64_t ms_of(const std::function<void()>& action) {
  const uint64_t begin = real_clock().now_ms();
  action();
  return real_clock().now_ms() - begin;
}

class KubernetesThreads : public ApiServerFixture {
 protected:
  void control(const std::string& what) {
    ASSERT_TRUE(
        client_.create({"v1", "Control", "controls"}, {{"metadata", {{"namespace", "x"}}}, {"do", what}})
            .is_ok());
  }
  void make(const std::string& name, const std::string& value = "1") {
    const Status status = client_.create(kMap, map(name, value)).status();
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  json map(const std::string& name, const std::string& value) const {
    return {{"metadata", {{"name", name}, {"namespace", name_space_}, {"managedFields", json::array({1})}}},
            {"data", {{"value", value}}}};
  }
  void change(const std::string& name, const std::string& value) {
    json now = *client_.get(kMap, name_space_, name);
    now["data"]["value"] = value;
    ASSERT_TRUE(client_.replace(kMap, now).is_ok());
  }
  void remove(const std::string& name) { ASSERT_TRUE(client_.remove(kMap, name_space_, name).is_ok()); }

  std::unique_ptr<ObjectWatcher> watcher() {
    WatchedObjects what{kMap, {name_space_}};
    what.trim = [](json& object) { object["trimmed"] = true; };
    what.delay = {50, 200};
    return std::make_unique<ObjectWatcher>(access(), what, [this](const std::string& key) {
      std::lock_guard lock(mutex_);
      told_.insert(key);
    });
  }
  std::string value_of(const ObjectWatcher& watcher, const std::string& name) const {
    const ObjectPointer object = watcher.get(name_space_ + "/" + name);
    return object ? (*object)["data"].value("value", "") : "none";
  }
  bool was_told(const std::string& name) {
    std::lock_guard lock(mutex_);
    return told_.count(name_space_ + "/" + name) > 0;
  }

  const std::string name_space_ = testing::UnitTest::GetInstance()->current_test_info()->name();
  ApiClient client_{access()};
  std::mutex mutex_;
  std::set<std::string> told_;  // under mutex_
};

TEST_F(KubernetesThreads, AWatcherFollowsWhatChanges) {
  make("a");
  auto watched = watcher();
  EXPECT_FALSE(watched->has_synced());
  watched->start();
  ASSERT_TRUE(watched->wait_until_synced(60'000));
  EXPECT_EQ(value_of(*watched, "a"), "1");
  make("b", "2");
  change("a", "3");
  EXPECT_TRUE(soon([&] { return value_of(*watched, "b") == "2" && value_of(*watched, "a") == "3"; }));
  remove("a");
  EXPECT_TRUE(soon([&] { return value_of(*watched, "a") == "none"; }));
  EXPECT_TRUE(was_told("a") && was_told("b"));
  EXPECT_EQ(watched->snapshot().size(), 1u);
  const ObjectPointer kept = watched->get(name_space_ + "/b");
  EXPECT_FALSE((*kept)["metadata"].contains("managedFields"));
  EXPECT_EQ((*kept)["trimmed"], true);
  EXPECT_TRUE(soon([&] { return watched->trouble().is_ok(); }));
}

TEST_F(KubernetesThreads, AWatcherSurvivesBrokenWatchesAndForgottenHistory) {
  make("a");
  make("b");
  auto watched = watcher();
  watched->start();
  ASSERT_TRUE(watched->wait_until_synced(60'000));
  control("away");
  EXPECT_TRUE(soon([&] { return !watched->trouble().is_ok(); })) << "trouble is told";
  EXPECT_EQ(value_of(*watched, "a"), "1") << "what was known stays";
  {
    std::lock_guard lock(mutex_);
    told_.clear();
  }
  control("back");
  remove("a");
  change("b", "2");
  control("compact");
  EXPECT_TRUE(soon([&] { return value_of(*watched, "a") == "none" && value_of(*watched, "b") == "2"; }));
  EXPECT_TRUE(soon([&] { return was_told("a") && was_told("b"); })) << "what vanished meanwhile is told";
  control("break");
  make("c");
  EXPECT_TRUE(soon([&] { return value_of(*watched, "c") == "1"; }));
  EXPECT_TRUE(soon([&] { return watched->trouble().is_ok(); }));
}

TEST_F(KubernetesThreads, AWatcherStopsAtOnceWhateverItDoes) {
  auto watching = watcher();
  watching->start();
  ASSERT_TRUE(watching->wait_until_synced(60'000));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(ms_of([&] { watching->stop(); }), 20'000u);
  WatchedObjects nowhere{{"v1", "Pod", "pods"}, {"ns", "no-items"}};
  nowhere.delay = {60'000, 60'000};
  ObjectWatcher waiting(access(), nowhere, nullptr);
  waiting.start();
  EXPECT_TRUE(soon([&] { return waiting.trouble().code() == Code::kCorrupt; }));
  EXPECT_FALSE(waiting.wait_until_synced(50));
  EXPECT_LT(ms_of([&] { waiting.stop(); }), 20'000u);
  ObjectWatcher never_started(access(), nowhere, nullptr);
  never_started.stop();
}

constexpr LeaseTerms kUnhurried{20'000, 14'000, 200};  // no stall of a machine is so long

class Candidate {
 public:
  Candidate(const ApiAccess& access, const std::string& name_space, const std::string& identity,
            LeaseTerms times = kUnhurried)
      : election_(
            access, {name_space, "operator", identity, times}, [this] { ++started; }, [this] { ++lost; }) {
    election_.start();
  }
  LeaderElection& election() { return election_; }
  bool leads() const { return started == lost + 1 && election_.is_leader(); }

  std::atomic<int> started{0}, lost{0};

 private:
  LeaderElection election_;
};

TEST_F(KubernetesThreads, OneLeadsAndAnotherTakesOverAtOnceWhenItStops) {
  auto first = std::make_unique<Candidate>(access(), name_space_, "first");
  ASSERT_TRUE(soon([&] { return first->leads(); }));
  Candidate second(access(), name_space_, "second");
  EXPECT_TRUE(soon([&] { return second.election().holder() == "first"; }));
  EXPECT_EQ(second.started, 0);
  first->election().stop();
  EXPECT_EQ(first->lost, 1);
  EXPECT_FALSE(first->election().is_leader());
  EXPECT_TRUE(soon([&] { return second.leads(); }));
  EXPECT_EQ((*client_.get(kLease, name_space_, "operator"))["spec"]["holderIdentity"], "second");
}

TEST_F(KubernetesThreads, ALeaderThatReachesNobodyStopsLeadingInTime) {
  Candidate alone(access(), name_space_, "alone", {4000, 2800, 200});
  ASSERT_TRUE(soon([&] { return alone.leads(); }));
  control("away");
  EXPECT_TRUE(soon([&] { return !alone.election().is_leader(); }, 3900)) << "before anybody else may lead";
  EXPECT_TRUE(soon([&] { return alone.lost > 0 && alone.lost == alone.started; }));
  EXPECT_FALSE(alone.election().is_leader());
  control("back");
  EXPECT_TRUE(soon([&] { return alone.leads(); }));
}

TEST_F(KubernetesThreads, WhoNeverLedReleasesNothing) {
  Candidate first(access(), name_space_, "first");
  ASSERT_TRUE(soon([&] { return first.leads(); }));
  {
    Candidate second(access(), name_space_, "second");
    EXPECT_TRUE(soon([&] { return second.election().holder() == "first"; }));
  }
  EXPECT_EQ((*client_.get(kLease, name_space_, "operator"))["spec"]["holderIdentity"], "first");
  first.election().stop();
  const auto holder = [this]() -> std::string {
    return (*client_.get(kLease, name_space_, "operator"))["spec"]["holderIdentity"];
  };
  // Its calls then have 1.5 s each: in a stall the lease is left to run out, and the next leader's turn
  // comes.
  for (int i = 0; i < 3 && !holder().empty(); ++i) {
    Candidate next(access(), name_space_, "next");
    ASSERT_TRUE(soon([&] { return next.leads(); }));
    next.election().stop();
  }
  EXPECT_EQ(holder(), "") << "but who led does";
}

TEST(BlockingWorkQueueTest, WorkersTakeEachKeyOneAtATimeUntilItIsStopped) {
  BlockingWorkQueue queue(real_clock(), {1, 50});
  std::mutex mutex;
  std::map<std::string, int> in_hands, seen;
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      while (auto key = queue.take()) {
        {
          std::lock_guard lock(mutex);
          EXPECT_EQ(++in_hands[*key], 1);
          if (++seen[*key] < 3) queue.add_rate_limited(*key);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::lock_guard lock(mutex);
        --in_hands[*key];
        queue.done(*key);
      }
    });
  }
  for (int i = 0; i < 30; ++i) queue.add_after("key-" + std::to_string(i), i % 5);
  EXPECT_TRUE(soon([&] {
    std::lock_guard lock(mutex);
    return seen.size() == 30 &&
           std::all_of(seen.begin(), seen.end(), [](const auto& one) { return one.second == 3; });
  }));
  queue.stop();
  for (auto& worker : workers) worker.join();
  queue.add("late");
  EXPECT_FALSE(queue.take());
}

}  // namespace
}  // namespace shima
