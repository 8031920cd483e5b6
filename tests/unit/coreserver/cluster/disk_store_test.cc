// Records of disks against a real etcd.
#include "coreserver/cluster/disk_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <utility>

#include "coreserver/cluster/records.h"
#include "coreserver/cluster/registration.h"
#include "tests/unit/common/etcd/etcd_fixture.h"
#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

const std::string kServer = "site-b/core-0";  // server 3: a remote of sample_volume()

class DiskStoreTest : public testing::Test {
 protected:
  DiskStoreTest()
      : etcd_(std::move(EtcdClient::create({server_.endpoint()}, patient_etcd()).value())), store_(*etcd_) {}

  void put(const std::string& key, const std::string& value) { ASSERT_TRUE(etcd_->put(key, value)); }
  // sample_volume(), and its servers; those with an alive record run.
  void make_cluster() {
    for (const auto& [id, name] : {std::pair{1, "site-a/core-0"}, std::pair{2, "site-a/core-1"},
                                   std::pair{3, "site-b/core-0"}, std::pair{4, "site-c/core-0"}}) {
      const ServerInfo server = sample_server(static_cast<uint64_t>(id), name);
      put(server_key(name), encode_server(server));
      put(alive_key(name), encode_alive({server.id, server.incarnation}));
    }
    put(volume_key("db"), encode_volume(sample_volume()));
  }
  void stop(const std::string& name) {
    const auto item = etcd_->get(alive_key(name));
    ASSERT_TRUE(item);
    ASSERT_TRUE(etcd_->compare_and_remove(alive_key(name), item->mod_revision));
  }

  Result<std::unique_ptr<Registration>> enter(
      const RegistrationSpec& spec, std::function<void()> on_superseded = [] {}) {
    return Registration::start(*etcd_, spec, [on_superseded](const RegistrationEvent& event) {
      if (event.kind == RegistrationEvent::Kind::kSuperseded) on_superseded();
    });
  }
  RegistrationSpec spec_of(const std::string& name) {
    RegistrationSpec spec;
    spec.name = name;
    spec.site = name.substr(0, name.find('/'));
    spec.networks = {{"10.0.0.1", 7000}, {"10.0.0.1", 7000}, {"10.0.0.1", 7001}, {"10.0.0.1", 7002}};
    spec.lease_ttl_ms = 60'000;  // no test waits for its end
    return spec;
  }

  EtcdServer server_;
  std::unique_ptr<EtcdClient> etcd_;
  DiskStore store_;
};

// An etcd where something happens just before a transaction.
class EtcdWithAnotherWriter : public EtcdClient {
 public:
  EtcdWithAnotherWriter(EtcdClient& etcd, std::function<void()> before)
      : etcd_(etcd), before_(std::move(before)) {}
  bool watches = true;
  bool tells_of_lost_leases = true;  // else lose_lease() does

  // What a keeper says when etcd no longer knows its lease.
  void lose_lease() { on_lost_({Code::kNotFound, "the lease has ended"}); }

  Result<EtcdKeyValue> get(const std::string& key, EtcdRead read) override { return etcd_.get(key, read); }
  Result<EtcdRange> list(const std::string& prefix, EtcdRead read) override {
    return etcd_.list(prefix, read);
  }
  Result<EtcdRevision> put(const std::string& key, const std::string& value, EtcdLease lease) override {
    return etcd_.put(key, value, lease);
  }
  Result<EtcdRevision> compare_and_swap(const std::string& key, EtcdRevision expected,
                                        const std::string& value, EtcdLease lease) override {
    return etcd_.compare_and_swap(key, expected, value, lease);
  }
  Result<EtcdRevision> compare_and_remove(const std::string& key, EtcdRevision expected) override {
    return etcd_.compare_and_remove(key, expected);
  }
  Result<EtcdRevision> transact(const std::vector<EtcdCompare>& compares,
                                const std::vector<EtcdOperation>& operations) override {
    if (auto before = std::exchange(before_, nullptr)) before();
    return etcd_.transact(compares, operations);
  }
  Result<EtcdLease> grant_lease(uint32_t ttl_ms) override { return etcd_.grant_lease(ttl_ms); }
  Status revoke_lease(EtcdLease lease) override { return etcd_.revoke_lease(lease); }
  std::unique_ptr<EtcdLeaseKeeper> keep_lease(EtcdLease lease, uint32_t ttl_ms,
                                              OnLeaseLost on_lost) override {
    if (tells_of_lost_leases) return etcd_.keep_lease(lease, ttl_ms, std::move(on_lost));
    on_lost_ = std::move(on_lost);
    return nullptr;
  }
  std::unique_ptr<EtcdWatch> watch(const std::string& prefix, EtcdRevision from, OnWatch on_batch) override {
    return watches ? etcd_.watch(prefix, from, std::move(on_batch)) : nullptr;
  }

 private:
  EtcdClient& etcd_;
  std::function<void()> before_;  // once
  OnLeaseLost on_lost_;
};

TEST_F(DiskStoreTest, AFirstStartIsRecordedAndAMissedDiskRefused) {
  EXPECT_TRUE(store_.check(kServer, {{"/d0", 0}}));
  EXPECT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  EXPECT_TRUE(store_.check(kServer, {{"/d0", 7}, {"/d1", 0}}));
  EXPECT_EQ(store_.check(kServer, {{"/d0", 0}}).code(), Code::kFailedPrecondition);
  EXPECT_EQ(store_.enter(kServer, {{"/d0", 8}}).status().code(), Code::kFailedPrecondition);
  const auto all = store_.list();
  ASSERT_TRUE(all) << all.status().to_string();
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().name, kServer);
  EXPECT_EQ(all->front().disks.size(), 1u);
  EXPECT_EQ(all->front().disks.front().id, 7u);
}

TEST_F(DiskStoreTest, AStartWithTheSameDisksWritesNothing) {
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  const EtcdRevision before = store_.list()->front().mod_revision;
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  EXPECT_EQ(store_.list()->front().mod_revision, before);
}

TEST_F(DiskStoreTest, ARemotesDiskIsForgottenOnceItIsStopped) {
  make_cluster();
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  EXPECT_EQ(store_.forget(kServer, 7).status().code(), Code::kFailedPrecondition) << "it runs";
  stop(kServer);
  const auto forgotten = store_.forget(kServer, 7);
  ASSERT_TRUE(forgotten) << forgotten.status().to_string();
  EXPECT_FALSE(forgotten->was_forgotten);
  EXPECT_TRUE(store_.forget(kServer, 7)->was_forgotten);
  EXPECT_TRUE(store_.check(kServer, {{"/d0", 0}}));
  EXPECT_FALSE(store_.enter(kServer, {{"/d0", 7}})) << "it does not come back";
  EXPECT_TRUE(store_.enter(kServer, {{"/d0", 8}}));
}

// It is cut off from etcd, its lease has ended, and it runs on: with the data that is declared lost.
TEST_F(DiskStoreTest, AProcessOfAServerWhoseDiskIsForgottenEndsWhenItLooksAgain) {
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  std::atomic<int> superseded{0};
  auto running = enter(spec_of(kServer), [&] { ++superseded; });
  ASSERT_TRUE(running) << running.status().to_string();
  stop(kServer);
  const auto forgotten = store_.forget(kServer, 7);
  ASSERT_TRUE(forgotten) << forgotten.status().to_string();
  EXPECT_TRUE(eventually([&] { return superseded == 1; }));
  EXPECT_FALSE((*running)->is_alive());
}

// The same without the watch's help: it asks for itself once its lease is gone.
TEST_F(DiskStoreTest, AProcessThatWasCutOffDoesNotTakeItsLeaseAnewAfterItsDiskIsForgotten) {
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  std::atomic<int> superseded{0};
  EtcdWithAnotherWriter unseeing(*etcd_, [] {});
  unseeing.watches = false;
  unseeing.tells_of_lost_leases = false;
  auto running = Registration::start(unseeing, spec_of(kServer), [&](const RegistrationEvent& event) {
    if (event.kind == RegistrationEvent::Kind::kSuperseded) ++superseded;
  });
  ASSERT_TRUE(running) << running.status().to_string();
  ASSERT_TRUE(etcd_->revoke_lease(etcd_->get(alive_key(kServer))->lease));
  const auto forgotten = store_.forget(kServer, 7);
  ASSERT_TRUE(forgotten) << forgotten.status().to_string();
  unseeing.lose_lease();
  EXPECT_TRUE(eventually([&] { return superseded == 1; }));
  EXPECT_EQ(etcd_->get(alive_key(kServer)).status().code(), Code::kNotFound);
}

TEST_F(DiskStoreTest, TheFenceKeepsWhatElseTheRecordsOfTheServerSay) {
  make_cluster();
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  ServerInfo before = sample_server(3, kServer);
  std::string newer = encode_server(before);
  newer.insert(newer.rfind('}'), R"(,"rack":"r7")");
  put(server_key(kServer), newer);
  put(software_key(kServer), encode_software({kServer, before.incarnation, this_software()}));
  stop(kServer);
  ASSERT_TRUE(store_.forget(kServer, 7));
  const EtcdKeyValue item = etcd_->get(server_key(kServer)).value();
  const ServerInfo after = decode_server(item).value();
  EXPECT_EQ(after.incarnation, before.incarnation.next());
  EXPECT_EQ(after.networks, before.networks);
  EXPECT_NE(item.value.find(R"("rack":"r7")"), std::string::npos) << item.value;
  EXPECT_EQ(decode_software(*etcd_->get(software_key(kServer)))->incarnation, after.incarnation);
}

// The very process comes back, with its incarnation and its disks: its server's record stays as it is.
TEST_F(DiskStoreTest, AServerThatComesBackWhileItsDiskIsForgottenKeepsIt) {
  make_cluster();
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  stop(kServer);
  EtcdWithAnotherWriter busy(*etcd_, [&] {
    put(alive_key(kServer), encode_alive({ServerId(3), Incarnation(1)}));
  });
  const Status refused = DiskStore(busy).forget(kServer, 7).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << refused.to_string();
  EXPECT_TRUE(store_.check(kServer, {{"/d0", 7}})) << "it is not forgotten";
}

TEST_F(DiskStoreTest, ADiskThatIsForgottenBeforeItsServerRegistersIsNoticed) {
  make_cluster();
  stop(kServer);
  RegistrationSpec spec = spec_of(kServer);
  spec.disks = store_.enter(kServer, {{"/d0", 7}}).value();
  ASSERT_TRUE(store_.forget(kServer, 7));
  EXPECT_EQ(enter(spec).status().code(), Code::kStaleTerm) << "its disks are to be compared again";
  EXPECT_EQ(etcd_->get(alive_key(kServer)).status().code(), Code::kNotFound);
}

// In the last moment: the transaction itself compares.
TEST_F(DiskStoreTest, ADiskThatIsForgottenWhileItsServerRegistersIsNoticed) {
  make_cluster();
  stop(kServer);
  RegistrationSpec spec = spec_of(kServer);
  spec.disks = store_.enter(kServer, {{"/d0", 7}}).value();
  bool other_changed = false;
  EtcdWithAnotherWriter busy(*etcd_, [&] {
    // The record of disks alone, so that nothing but its own compare notices it.
    ServerDisks now = store_.list()->front();
    now.disks.clear();
    put(disks_key(kServer), encode_disks(now));
    other_changed = true;
  });
  const Status refused = Registration::start(busy, spec, [](const RegistrationEvent&) {}).status();
  EXPECT_TRUE(other_changed);
  EXPECT_EQ(refused.code(), Code::kStaleTerm) << refused.to_string();
}

TEST_F(DiskStoreTest, NothingIsForgottenOfAServerWhoseRecordCannotBeRead) {
  make_cluster();
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}}));
  stop(kServer);
  put(server_key(kServer), R"({"magic":"shima-server","version":2})");
  EXPECT_EQ(store_.forget(kServer, 7).status().code(), Code::kCorrupt);
  EXPECT_TRUE(store_.check(kServer, {{"/d0", 7}}));
}

TEST_F(DiskStoreTest, WhatANewerProgramPutIntoTheRecordIsPassedOverAndKept) {
  put(disks_key(kServer),
      R"({"magic":"shima-disks","version":1,"name":"site-b/core-0","disks":[{"disk_id":"7","path":"/d0"}],)"
      R"("wiped":{"at":"1"}})");
  ASSERT_TRUE(store_.enter(kServer, {{"/d0", 7}, {"/d1", 8}}));
  EXPECT_EQ(store_.list()->front().disks.size(), 2u);
  const std::string now = etcd_->get(disks_key(kServer))->value;
  EXPECT_NE(now.find(R"("wiped":{"at":"1"})"), std::string::npos) << now;
  put(disks_key(kServer),
      R"({"magic":"shima-disks","version":1,"name":"site-b/core-0","disks":[{"disk_id":"7",)"
      R"("wiped":"1"}]})");
  EXPECT_EQ(store_.check(kServer, {{"/d0", 7}}).code(), Code::kCorrupt) << "within a disk it may not";
}

TEST_F(DiskStoreTest, APrimarysDiskIsNot) {
  make_cluster();
  ASSERT_TRUE(store_.enter("site-a/core-0", {{"/d0", 7}}));
  stop("site-a/core-0");
  const auto refused = store_.forget("site-a/core-0", 7);
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("volume db"), std::string::npos);
  EXPECT_FALSE(store_.check("site-a/core-0", {{"/d0", 0}}));
}

TEST_F(DiskStoreTest, AServerFromBeforeTheRecordIsAdopted) {
  make_cluster();
  EXPECT_FALSE(store_.check(kServer, {{"/d0", 0}})) << "it has started before";
  stop(kServer);
  ASSERT_TRUE(store_.forget(kServer, 0));
  EXPECT_TRUE(store_.check(kServer, {{"/d0", 0}}));
  EXPECT_TRUE(store_.enter("site-c/core-0", {{"/d0", 9}}));
}

TEST_F(DiskStoreTest, ARecordThatCannotBeReadIsNamed) {
  for (const char* bad : {"{}", "7", R"({"magic":"shima-disks","version":2,"name":"site-b/core-0"})",
                          R"({"magic":"shima-disks","version":1,"name":"site-b/core-1"})",
                          R"({"magic":"shima-disks","version":1,"name":"site-b/core-0","disks":[{}]})"}) {
    put(disks_key(kServer), bad);
    const Status status = store_.check(kServer, {{"/d0", 7}});
    EXPECT_EQ(status.code(), Code::kCorrupt) << bad;
    EXPECT_NE(status.message().find("/shima/v1/disks/site-b/core-0"), std::string::npos);
  }
}

}  // namespace
}  // namespace shima
