#include "common/etcd/etcd_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "tests/unit/common/etcd/etcd_fixture.h"

namespace shima {
namespace {

std::unique_ptr<EtcdClient> connect(std::vector<std::string> endpoints,
                                    EtcdOptions options = patient_etcd()) {
  return std::move(EtcdClient::create(std::move(endpoints), options).value());
}

EtcdOptions hasty() {
  EtcdOptions o;
  o.call_timeout_ms = 2500;
  o.attempt_timeout_ms = 800;
  o.connect_timeout_ms = 800;
  o.watch_silence_ms = 1200;
  return o;
}

uint64_t elapsed_ms(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since)
      .count();
}

// What a watch told, as a state and as counts.
struct Told {
  std::mutex mutex;
  std::map<std::string, std::string> state;
  int full_lists = 0, events = 0, progress = 0;

  void take(const EtcdWatchBatch& batch) {
    std::lock_guard lock(mutex);
    if (batch.kind == EtcdWatchBatch::Kind::kProgress) return void(++progress);
    if (batch.kind == EtcdWatchBatch::Kind::kFullList) {
      state.clear();
      ++full_lists;
    }
    for (const auto& c : batch.changes) {
      if (batch.kind == EtcdWatchBatch::Kind::kEvents) ++events;
      if (c.removed)
        state.erase(c.item.key);
      else
        state[c.item.key] = c.item.value;
    }
  }
  std::string value(const std::string& key) {
    std::lock_guard lock(mutex);
    auto it = state.find(key);
    return it == state.end() ? "" : it->second;
  }
  template <typename F>
  auto with(F f) {
    std::lock_guard lock(mutex);
    return f(*this);
  }
};

class Etcd : public testing::Test {
 protected:
  EtcdServer server_;
  std::unique_ptr<EtcdClient> client_ = connect({server_.endpoint()});
};

TEST_F(Etcd, WhatWasPutIsReadWithItsRevision) {
  EtcdRevision revision = client_->put("/a/x", "1").value();
  EtcdKeyValue item = client_->get("/a/x").value();
  EXPECT_EQ(item.value, "1");
  EXPECT_EQ(item.mod_revision, revision);
  EXPECT_EQ(client_->get("/a/x", EtcdRead::kSerializable)->value, "1");
}

TEST_F(Etcd, AnAbsentKeyIsNotFound) { EXPECT_EQ(client_->get("/none").status().code(), Code::kNotFound); }

TEST_F(Etcd, AListHasThePrefixAndNothingBeside) {
  for (const char* key : {"/a/1", "/a/2", "/a", "/b/1"}) ASSERT_TRUE(client_->put(key, "v"));
  EtcdRange range = client_->list("/a/").value();
  ASSERT_EQ(range.items.size(), 2u);
  EXPECT_EQ(range.items[0].key, "/a/1");
  EXPECT_EQ(range.items[1].key, "/a/2");
}

TEST_F(Etcd, OfManyRacersOneWinsEachCompareAndSwap) {
  std::atomic<int> wins{0}, conflicts{0}, others{0};
  EtcdRevision start = client_->put("/race", "0").value();
  std::vector<std::thread> racers;
  for (int i = 0; i < 8; ++i) {
    racers.emplace_back([&, i] {
      auto won = client_->compare_and_swap("/race", start, std::to_string(i));
      if (won)
        ++wins;
      else if (won.status().code() == Code::kConflict)
        ++conflicts;
      else
        ++others;
    });
  }
  for (auto& r : racers) r.join();
  EXPECT_EQ(wins, 1);
  EXPECT_EQ(conflicts, 7);
  EXPECT_EQ(others, 0);
}

TEST_F(Etcd, IncrementsByCompareAndSwapAreNeverLost) {
  ASSERT_TRUE(client_->compare_and_swap("/count", EtcdRevision(), "0"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int done = 0; done < 25;) {
        EtcdKeyValue now = client_->get("/count").value();
        std::string next = std::to_string(std::stoi(now.value) + 1);
        if (client_->compare_and_swap("/count", now.mod_revision, next)) ++done;
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(client_->get("/count")->value, "100");
}

TEST_F(Etcd, AKeyThatMustNotExistButDoesIsAConflict) {
  ASSERT_TRUE(client_->compare_and_swap("/k", EtcdRevision(), "1"));
  EXPECT_EQ(client_->compare_and_swap("/k", EtcdRevision(), "2").status().code(), Code::kConflict);
  EXPECT_EQ(client_->get("/k")->value, "1");
}

TEST_F(Etcd, ARemovalComparesToo) {
  EtcdRevision first = client_->put("/k", "1").value();
  EtcdRevision second = client_->put("/k", "2").value();
  EXPECT_EQ(client_->compare_and_remove("/k", first).status().code(), Code::kConflict);
  EXPECT_TRUE(client_->compare_and_remove("/k", second));
  EXPECT_EQ(client_->get("/k").status().code(), Code::kNotFound);
}

TEST_F(Etcd, ATransactionDoesAllOrNothing) {
  EtcdRevision a = client_->put("/a", "1").value();
  auto lost = client_->transact({{"/a", a}, {"/b", a}},
                                {EtcdOperation::put("/a", "2"), EtcdOperation::put("/b", "2")});
  EXPECT_EQ(lost.status().code(), Code::kConflict);
  EXPECT_EQ(client_->get("/a")->value, "1");
  ASSERT_TRUE(client_->transact({{"/a", a}, {"/b", {}}},
                                {EtcdOperation::remove("/a"), EtcdOperation::put("/b", "2")}));
  EXPECT_EQ(client_->get("/a").status().code(), Code::kNotFound);
  EXPECT_EQ(client_->get("/b")->value, "2");
}

TEST_F(Etcd, AKeyGoesWithItsLease) {
  ASSERT_TRUE(eventually([&] {  // a machine may take longer between the two than the lease lasts
    return client_->put("/leased", "1", client_->grant_lease(1000).value()).is_ok();
  }));
  EXPECT_TRUE(eventually([&] { return client_->get("/leased").status().code() == Code::kNotFound; }));
}

TEST_F(Etcd, ALeaseThatIsKeptOutlivesItsTime) {
  constexpr uint32_t kTtlMs = 18'000;  // two thirds of it are more than two stalls
  EtcdLease lease = client_->grant_lease(kTtlMs).value();
  ASSERT_TRUE(client_->put("/leased", "1", lease));
  std::atomic<int> lost{0};
  auto keeper = client_->keep_lease(lease, kTtlMs, [&](Status) { ++lost; });
  EtcdLease younger = client_->grant_lease(kTtlMs).value();  // which nobody keeps
  ASSERT_TRUE(client_->put("/younger", "1", younger));
  EXPECT_TRUE(eventually([&] { return client_->get("/younger").status().code() == Code::kNotFound; }));
  EXPECT_TRUE(client_->get("/leased"));
  EXPECT_TRUE(keeper->is_alive());
  EXPECT_EQ(lost, 0);
}

TEST_F(Etcd, ARevokedLeaseIsToldOnce) {
  EtcdLease lease = client_->grant_lease(60'000).value();
  std::atomic<int> lost{0};
  std::atomic<Code> why{Code::kOk};
  ASSERT_TRUE(client_->revoke_lease(lease));
  auto keeper = client_->keep_lease(lease, 60'000, [&](Status s) {  // asks at once
    why = s.code();
    ++lost;
  });
  ASSERT_TRUE(eventually([&] { return lost == 1; }));
  EXPECT_EQ(why, Code::kNotFound);
  EXPECT_FALSE(keeper->is_alive());
}

TEST_F(Etcd, ALeaseIsLostWhenEtcdIsAwayForItsTime) {
  auto client = connect({server_.endpoint()}, hasty());
  EtcdLease lease = client_->grant_lease(2000).value();
  std::atomic<int> lost{0};
  auto keeper = client->keep_lease(lease, 2000, [&](Status) { ++lost; });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  server_.freeze();
  EXPECT_TRUE(eventually([&] { return lost == 1; }));
  server_.thaw();
}

TEST_F(Etcd, AWatchFromZeroBeginsWithEverything) {
  ASSERT_TRUE(client_->put("/w/1", "a"));
  Told told;
  auto watch = client_->watch("/w/", EtcdRevision(), [&](const EtcdWatchBatch& b) { told.take(b); });
  ASSERT_TRUE(eventually([&] { return told.value("/w/1") == "a"; }));
  ASSERT_TRUE(client_->put("/w/2", "b"));
  ASSERT_TRUE(client_->put("/other", "b"));
  ASSERT_TRUE(client_->compare_and_remove("/w/1", client_->get("/w/1")->mod_revision));
  ASSERT_TRUE(eventually([&] { return told.value("/w/2") == "b" && told.value("/w/1").empty(); }));
  EXPECT_EQ(told.with([](Told& t) { return t.full_lists; }), 1);
  EXPECT_EQ(told.with([](Told& t) { return t.state.size(); }), 1u);
}

TEST_F(Etcd, AWatchMissesNothingWhileEtcdRestarts) {
  auto client = connect({server_.endpoint()}, hasty());
  EtcdRevision before = client_->put("/w/k", "0").value();
  Told told;
  auto watch = client->watch("/w/", before.next(), [&](const EtcdWatchBatch& b) { told.take(b); });
  ASSERT_TRUE(client_->put("/w/k", "1"));
  ASSERT_TRUE(eventually([&] { return told.value("/w/k") == "1"; }));
  for (int round = 0; round < 3; ++round) {
    server_.kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 300));
    server_.start();
    ASSERT_TRUE(connect({server_.endpoint()})->put("/w/k", "r" + std::to_string(round)));
    ASSERT_TRUE(eventually([&] { return told.value("/w/k") == "r" + std::to_string(round); }));
  }
  EXPECT_EQ(told.with([](Told& t) { return t.events; }), 4);
  EXPECT_EQ(told.with([](Told& t) { return t.full_lists; }), 0);
}

TEST_F(Etcd, AWatchThatFellBehindACompactionListsAnew) {
  EtcdRevision first = client_->put("/w/k", "1").value();
  ASSERT_TRUE(client_->put("/w/gone", "1"));
  ASSERT_TRUE(client_->compare_and_remove("/w/gone", client_->get("/w/gone")->mod_revision));
  EtcdRevision last = client_->put("/w/k", "2").value();
  server_.compact(last.value);
  Told told;
  auto watch = client_->watch("/w/", first, [&](const EtcdWatchBatch& b) { told.take(b); });
  ASSERT_TRUE(eventually([&] { return told.value("/w/k") == "2"; }));
  EXPECT_EQ(told.with([](Told& t) { return t.full_lists; }), 1);
  ASSERT_TRUE(client_->put("/w/k", "3"));
  EXPECT_TRUE(eventually([&] { return told.value("/w/k") == "3"; }));
}

TEST_F(Etcd, AQuietWatchShowsSignsOfLifeAndASilentOneDoesNot) {
  auto client = connect({server_.endpoint()}, hasty());
  Told told;
  auto watch = client->watch("/w/", EtcdRevision(), [&](const EtcdWatchBatch& b) { told.take(b); });
  ASSERT_TRUE(eventually([&] { return told.with([](Told& t) { return t.progress; }) >= 4; }));
  EXPECT_TRUE(eventually([&] { return watch->silent_ms() < 900; }));
  server_.freeze();
  EXPECT_TRUE(eventually([&] { return watch->silent_ms() > 3000; }));
  server_.thaw();
  EXPECT_TRUE(eventually([&] { return watch->silent_ms() < 900; }));
  ASSERT_TRUE(client_->put("/w/k", "after"));
  EXPECT_TRUE(eventually([&] { return told.value("/w/k") == "after"; }));
}

TEST_F(Etcd, AWriteToAFrozenEtcdHasAnUnknownOutcome) {
  auto client = connect({server_.endpoint()}, hasty());
  EtcdRevision revision = client_->put("/k", "0").value();
  ASSERT_TRUE(eventually([&] { return client->get("/k").is_ok(); }));  // connected
  server_.freeze();
  auto since = std::chrono::steady_clock::now();
  Status s = client->compare_and_swap("/k", revision, "1").status();
  EXPECT_EQ(s.code(), Code::kDeadlineExceeded) << s.to_string();
  EXPECT_LT(elapsed_ms(since), 60000u);
  server_.thaw();
}

TEST_F(Etcd, CallsFailOverToAnEndpointThatServes) {
  const LoopbackPort nobodys;
  const std::string dead = "127.0.0.1:" + std::to_string(nobodys);
  auto client = connect({dead, server_.endpoint()});
  ASSERT_TRUE(client->put("/k", "1"));
  auto since = std::chrono::steady_clock::now();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(client->get("/k"));
  EXPECT_LT(elapsed_ms(since), 60000u);  // the dead one is not asked each time
  Told told;
  auto watch = client->watch("/k", EtcdRevision(), [&](const EtcdWatchBatch& b) { told.take(b); });
  EXPECT_TRUE(eventually([&] { return told.value("/k") == "1"; }));
}

TEST_F(Etcd, ReadsGoOnToTheNextEndpointWhenTheFirstIsFrozen) {
  EtcdServer other;
  auto client = connect({other.endpoint(), server_.endpoint()}, hasty());
  ASSERT_TRUE(connect({server_.endpoint()})->put("/k", "second"));
  // The first is preferred, but for one that does not answer in its time.
  ASSERT_TRUE(eventually([&] { return client->get("/k").status().code() == Code::kNotFound; }));
  other.freeze();
  EXPECT_TRUE(eventually([&] {
    const auto found = client->get("/k");
    return found && found->value == "second";
  }));
  other.thaw();
}

TEST(EtcdAway, IsUnavailableWithinTheDeadlineAndNamesTheEndpoints) {
  const LoopbackPort one, other;  // nobody listens there
  const std::string a = "127.0.0.1:" + std::to_string(one);
  const std::string b = "127.0.0.1:" + std::to_string(other);
  EtcdOptions brief;
  brief.call_timeout_ms = 800;
  auto client = connect({a, "http://" + b}, brief);
  auto since = std::chrono::steady_clock::now();
  Status write;
  EXPECT_TRUE(eventually([&] {  // in a stall its time may be over before both were tried
    write = client->compare_and_swap("/k", EtcdRevision(), "1").status();
    return write.message().find(a) != std::string::npos && write.message().find(b) != std::string::npos;
  }));
  EXPECT_LT(elapsed_ms(since), 60000u);
  EXPECT_EQ(write.code(), Code::kUnavailable);
  EXPECT_NE(write.message().find(a), std::string::npos) << write.message();
  EXPECT_NE(write.message().find(b), std::string::npos) << write.message();
  EXPECT_EQ(client->get("/k").status().code(), Code::kUnavailable);
}

TEST(EtcdAway, AWatchCanBeEndedSoon) {
  const LoopbackPort nobodys;
  auto client = connect({"127.0.0.1:" + std::to_string(nobodys)});
  auto watch = client->watch("/w/", EtcdRevision(), [](const EtcdWatchBatch&) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  auto since = std::chrono::steady_clock::now();
  watch.reset();
  EXPECT_LT(elapsed_ms(since), 60000u);
}

TEST(EtcdEndpoints, AreCheckedWhenTheClientIsMade) {
  for (const char* bad :
       {"", "localhost", "host:", ":2379", "::1:2379", "host:70000", "host:x", "https://host:2379"}) {
    EXPECT_EQ(EtcdClient::create({bad}).status().code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(EtcdClient::create({}));
  for (const char* good : {"localhost:2379", "http://10.0.0.1:2379/", "[::1]:2379"}) {
    EXPECT_TRUE(EtcdClient::create({good})) << good;
  }
}

}  // namespace
}  // namespace shima
