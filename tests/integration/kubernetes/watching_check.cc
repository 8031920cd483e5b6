// Watcher and election against a real API server that is killed and started again meanwhile: the script is
// told on standard output when (a line "restart the API server"), and makes the ConfigMap `after-restart`
// when it is back.
#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <set>

#include "common/kubernetes/leader_election.h"
#include "common/kubernetes/object_watcher.h"
#include "tests/integration/kubernetes/real_api_server.h"

namespace shima {
namespace {

using nlohmann::json;

class Watched {
 public:
  explicit Watched(const std::string& selector)
      : watcher_(access_from(), {kConfigMap, {kSpace, selector}}, [this](const std::string& key) {
          std::lock_guard lock(mutex_);
          told_.insert(key);
        }) {
    watcher_.start();
  }
  std::string value(const std::string& name) const {
    const ObjectPointer object = watcher_.get(object_key(kSpace, name));
    return object ? (*object)["data"]["value"].get<std::string>() : "none";
  }
  bool was_told(const std::string& name) {
    std::lock_guard lock(mutex_);
    return told_.erase(object_key(kSpace, name)) > 0;
  }
  ObjectWatcher& watcher() { return watcher_; }

 private:
  std::mutex mutex_;
  std::set<std::string> told_;  // under mutex_
  ObjectWatcher watcher_;
};

TEST_F(RealApiServer, AWatcherSeesObjectsEnterAndLeaveItsSelector) {
  Watched watched("seen=yes");
  ASSERT_TRUE(watched.watcher().wait_until_synced(60'000)) << watched.watcher().trouble().to_string();
  must(client_.apply(kConfigMap, config_map("moving", "1", {{"seen", "no"}}), "me"));
  must(client_.apply(kConfigMap, config_map("moving", "2", {{"seen", "yes"}}), "me"));
  EXPECT_TRUE(soon([&] { return watched.value("moving") == "2"; }));
  EXPECT_TRUE(soon([&] { return watched.was_told("moving"); }));
  must(client_.apply(kConfigMap, config_map("moving", "3", {{"seen", "no"}}), "me"));
  EXPECT_TRUE(soon([&] { return watched.value("moving") == "none"; }));
  EXPECT_TRUE(soon([&] { return watched.was_told("moving"); }));
}

TEST_F(RealApiServer, WatcherAndElectionOutliveARestartOfTheServer) {
  must(client_.apply(kConfigMap, config_map("before-restart", "1"), "me"));
  Watched watched("");
  std::atomic<int> started{0}, lost{0};
  LeaderElection election(
      access_from(), {kSpace, "operator", "check", {5'000, 3'000, 500}}, [&] { ++started; }, [&] { ++lost; });
  election.start();
  ASSERT_TRUE(watched.watcher().wait_until_synced(60'000)) << watched.watcher().trouble().to_string();
  ASSERT_TRUE(soon([&] { return election.is_leader(); }));
  std::cout << "restart the API server" << std::endl;
  EXPECT_TRUE(soon([&] { return lost >= 1 && !election.is_leader(); }))
      << "it is away for longer than the deadline of 3 s";
  EXPECT_TRUE(soon([&] { return !watched.watcher().trouble().is_ok(); }));
  EXPECT_EQ(watched.value("before-restart"), "1") << "what was known stays";
  EXPECT_TRUE(soon([&] { return watched.value("after-restart") == "1"; }, 120'000))
      << watched.watcher().trouble().to_string();
  // More often than twice if a server that is slow as it begins answers no renewal in time.
  EXPECT_TRUE(soon([&] { return started >= 2 && election.is_leader(); }));
  EXPECT_TRUE(soon([&] { return watched.watcher().trouble().is_ok(); }));
  // What the new server has seen begins with its start: older positions are gone.
  Status old;
  EXPECT_TRUE(soon([&] {
    old = client_.watch(kConfigMap, {kSpace}, "1", [](const WatchEvent&) { return false; });
    return old.code() == Code::kRequestTooOld;
  })) << old.to_string();
  const auto begin = std::chrono::steady_clock::now();
  election.stop();
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(lost, started);
  const ResourceKind lease{"coordination.k8s.io/v1", "Lease", "leases"};
  if (took < std::chrono::milliseconds(1'500)) {  // for which each of its last two calls waits
    EXPECT_EQ(must(client_.get(lease, kSpace, "operator"))["spec"].value("holderIdentity", ""), "")
        << "released";
  }
}

}  // namespace
}  // namespace shima
