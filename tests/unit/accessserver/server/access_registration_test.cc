// Registrations of access servers against a real etcd.
#include "accessserver/server/access_registration.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <vector>

#include "coreserver/cluster/records.h"
#include "tests/unit/common/etcd/etcd_fixture.h"

namespace shima {
namespace {

constexpr const char* kName = "site-a/access-0";

class AccessRegistrationTest : public testing::Test {
 protected:
  // One process: what it was told of its identities.
  struct Server {
    std::mutex mutex;
    std::vector<ClientIdentity> identities;
    std::function<void(const ClientIdentity&)> on_new;
    std::unique_ptr<AccessRegistration> registration;
    size_t registered() {
      std::lock_guard lock(mutex);
      return identities.size();
    }
  };

  // A lease that no stall of the machine outlasts.
  static AccessRegistrationOptions options() {
    return {
        .name = kName, .lease_ttl_ms = 60'000, .retry_ms = 50, .doubt_pause_ms = 100, .predecessor_ms = 1500};
  }
  // For tests that wait until it is lost.
  static AccessRegistrationOptions brief() {
    AccessRegistrationOptions brief = options();
    brief.lease_ttl_ms = 9000;
    return brief;
  }
  Status start(Server& server, AccessRegistrationOptions options = AccessRegistrationTest::options(),
               const std::function<bool()>& ended = {}) {
    auto started = AccessRegistration::start(
        *client_, std::move(options),
        [&server](const ClientIdentity& identity) {
          {
            std::lock_guard lock(server.mutex);
            server.identities.push_back(identity);
          }
          if (server.on_new) server.on_new(identity);
        },
        ended);
    if (!started) return started.status();
    server.registration = std::move(*started);
    return Status::ok();
  }
  Result<AccessInfo> record() {
    auto item = client_->get(access_key(kName));
    if (!item) return item.status();
    return decode_access(*item);
  }
  uint64_t registered_incarnation() {
    auto found = record();
    return found ? found->incarnation : 0;
  }

  EtcdServer etcd_;
  std::unique_ptr<EtcdClient> client_ = EtcdClient::create({etcd_.endpoint()}, patient_etcd()).value();
};

TEST_F(AccessRegistrationTest, TheRecordIsUnderTheLeaseAndNamesTheIncarnation) {
  Server server;
  ASSERT_TRUE(start(server).is_ok());
  const ClientIdentity identity = server.registration->identity();
  EXPECT_EQ(identity.access_server, kName);
  EXPECT_GT(identity.access_incarnation, 0u);
  auto item = client_->get(access_key(kName));
  ASSERT_TRUE(item.is_ok());
  EXPECT_EQ(item->mod_revision.value, identity.access_revision);
  EXPECT_EQ(item->lease, server.registration->lease());
  EXPECT_TRUE(server.registration->holds(item->lease));
  EXPECT_EQ(registered_incarnation(), identity.access_incarnation);
  EXPECT_EQ(server.identities, std::vector{identity});
  EXPECT_TRUE(server.registration->leave().is_ok());
  EXPECT_EQ(record().status().code(), Code::kNotFound);
}

TEST_F(AccessRegistrationTest, NoIncarnationIsGivenTwice) {
  Server first, second;
  ASSERT_TRUE(start(first).is_ok());
  const uint64_t old = first.registration->identity().access_incarnation;
  ASSERT_TRUE(first.registration->leave().is_ok());
  ASSERT_TRUE(start(second).is_ok());
  EXPECT_GT(second.registration->identity().access_incarnation, old);
}

TEST_F(AccessRegistrationTest, AKilledPredecessorsRecordIsWaitedFor) {
  Server first, second;
  ASSERT_TRUE(start(first).is_ok());
  const uint64_t old = first.registration->identity().access_incarnation;
  const EtcdLease lease = first.registration->lease();
  first.registration.reset();  // as killed: nobody keeps the lease, nobody revokes it
  ASSERT_EQ(registered_incarnation(), old);
  AccessRegistrationOptions patient = options();
  patient.predecessor_ms = 600'000;
  const auto time_passes = [&] {  // called while it waits
    static_cast<void>(client_->revoke_lease(lease));
    return false;
  };
  ASSERT_TRUE(start(second, patient, time_passes).is_ok());
  EXPECT_GT(registered_incarnation(), old);
}

TEST_F(AccessRegistrationTest, ALivingNamesakeIsRefused) {
  Server first, second;
  ASSERT_TRUE(start(first).is_ok());
  const Status refused = start(second);
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("another process is registered as site-a/access-0"), std::string::npos)
      << refused.message();
  EXPECT_EQ(registered_incarnation(), first.registration->identity().access_incarnation);
}

TEST_F(AccessRegistrationTest, ANameThatCoreServersDoNotKnowIsRefused) {
  Server server;
  AccessRegistrationOptions wrong = options();
  wrong.name = "site-a/host-7";
  EXPECT_EQ(start(server, wrong).code(), Code::kInvalidArgument);
}

TEST_F(AccessRegistrationTest, AStartThatIsEndedEnds) {
  client_ = EtcdClient::create({etcd_.endpoint()}, {.call_timeout_ms = 1000}).value();
  etcd_.kill();
  Server server;
  std::atomic<int> left{2};
  EXPECT_EQ(start(server, options(), [&] { return left-- <= 0; }).code(), Code::kUnavailable);
}

TEST_F(AccessRegistrationTest, ALostLeaseMeansANewIncarnation) {
  Server server;
  AccessRegistrationOptions noticed = options();
  noticed.lease_ttl_ms = 24'000;  // a third of it later it knows; no stall ends it before
  ASSERT_TRUE(start(server, noticed).is_ok());
  const ClientIdentity old = server.registration->identity();
  const EtcdLease lease = server.registration->lease();
  ASSERT_TRUE(client_->revoke_lease(lease).is_ok());
  ASSERT_TRUE(eventually([&] { return server.registered() == 2; }, 60'000));
  const ClientIdentity now = server.registration->identity();
  EXPECT_GT(now.access_incarnation, old.access_incarnation);
  EXPECT_GT(now.access_revision, old.access_revision);
  EXPECT_FALSE(server.registration->holds(lease));
  EXPECT_EQ(registered_incarnation(), now.access_incarnation);
}

TEST_F(AccessRegistrationTest, WithoutEtcdTheIdentityStaysUntilThereIsANewOne) {
  Server server;
  ASSERT_TRUE(start(server, brief()).is_ok());
  const ClientIdentity old = server.registration->identity();
  etcd_.freeze();
  ASSERT_TRUE(eventually([&] { return !server.registration->holds(server.registration->lease()); }, 60'000));
  EXPECT_EQ(server.registration->identity(), old);
  etcd_.thaw();
  EXPECT_TRUE(eventually([&] { return server.registered() >= 2; }, 60'000));
}

// First the new record, then whatever is in flight is dropped, then what lay under the old lease goes.
TEST_F(AccessRegistrationTest, WhatLiesUnderTheLeaseOutlivesTheOldIncarnation) {
  Server server;
  ASSERT_TRUE(start(server).is_ok());
  const ClientIdentity old = server.registration->identity();
  ASSERT_TRUE(client_->put("/shima/v1/addresses/x", "{}", server.registration->lease()).is_ok());
  bool key_was_there = false;
  uint64_t registered_then = 0;
  server.on_new = [&](const ClientIdentity&) {
    key_was_there = client_->get("/shima/v1/addresses/x").is_ok();
    registered_then = registered_incarnation();
  };
  ASSERT_TRUE(server.registration->register_anew("the test wants it").is_ok());
  EXPECT_TRUE(key_was_there);
  EXPECT_GT(registered_then, old.access_incarnation);
  EXPECT_EQ(client_->get("/shima/v1/addresses/x").status().code(), Code::kNotFound);
}

TEST_F(AccessRegistrationTest, ADoubtAboutTheNewestIncarnationRegistersAnewOnce) {
  Server server;
  ASSERT_TRUE(start(server).is_ok());
  const uint64_t first = server.registration->identity().access_incarnation;
  server.registration->doubt(first - 1);  // an older one: known to be fenced
  EXPECT_FALSE(eventually([&] { return server.registered() > 1; }, 300));
  server.registration->doubt(first);
  server.registration->doubt(first);
  ASSERT_TRUE(eventually([&] { return server.registered() == 2; }));
  EXPECT_FALSE(eventually([&] { return server.registered() > 2; }, 300));
  EXPECT_GT(registered_incarnation(), first);
}

}  // namespace
}  // namespace shima
