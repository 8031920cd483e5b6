// The shared address against a real etcd, in a network namespace of the test's own.
#include "accessserver/server/shared_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/common/etcd/etcd_fixture.h"
#include "tests/unit/common/network/own_namespace.h"

namespace shima {
namespace {

bool can_bind(const std::string& address) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  bool bound = bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  close(fd);
  return bound;
}

class SharedAddressTest : public testing::Test {
 protected:
  void SetUp() override {
    static bool own = enter_own_network_namespace();
    if (!own) GTEST_SKIP() << "no permission to make a network namespace";
    etcd_ = std::make_unique<EtcdServer>();
    client_ = EtcdClient::create({etcd_->endpoint()}, patient_etcd()).value();
  }
  struct Holder {
    std::atomic<int> taken{0}, lost{0};
    std::atomic<bool> cannot_listen{false};
    std::atomic<bool> fence_stands{true};  // core servers know of the taking
    std::atomic<int64_t> fenced_at{0};     // the last revision that was waited for
    std::unique_ptr<AccessRegistration> registration;
    std::unique_ptr<SharedAddress> address;
    void stop() {  // as a server's clean stop
      address.reset();
      ASSERT_TRUE(registration->leave().is_ok());
    }
  };
  // As a server that is killed, and whose lease ends.
  void vanish(Holder& h) {
    const EtcdLease lease = h.registration->lease();
    h.address.reset();
    h.registration.reset();
    ASSERT_TRUE(client_->revoke_lease(lease).is_ok());
  }
  // `lease_ttl_ms`: brief where a test waits until it is lost, else longer than any stall of the machine.
  void start(Holder& h, const std::string& name, uint32_t lease_ttl_ms = 60'000) {
    auto registered = AccessRegistration::start(
        *client_, {.name = name, .lease_ttl_ms = lease_ttl_ms, .retry_ms = 50}, [](const ClientIdentity&) {});
    ASSERT_TRUE(registered.is_ok()) << registered.status().to_string();
    h.registration = std::move(*registered);
    SharedAddress::Handlers handlers;
    handlers.fence = [&h](EtcdRevision revision, const std::function<bool()>& wanted) {
      h.fenced_at = revision.value;
      while (!h.fence_stands && wanted()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return h.fence_stands ? Status::ok() : Status(Code::kUnavailable, "not wanted any more");
    };
    handlers.taken = [&h] {
      h.taken++;
      return h.cannot_listen ? Status(Code::kUnavailable, "in use") : Status::ok();
    };
    handlers.lost = [&h] { h.lost++; };
    h.address = std::make_unique<SharedAddress>(
        *client_, *h.registration, SharedAddressOptions{vip_, name, lease_ttl_ms, 50}, std::move(handlers));
  }
  EtcdKeyValue key() { return client_->get(SharedAddress::key_of(vip_)).value(); }

  const InterfaceAddress vip_{"10.99.1.5", 32, "lo"};
  std::unique_ptr<EtcdServer> etcd_;
  std::unique_ptr<EtcdClient> client_;
};

TEST_F(SharedAddressTest, OneServerHasItAndTheOtherGetsItWhenTheFirstEnds) {
  Holder a, b;
  start(a, "site-a/access-0");
  ASSERT_TRUE(eventually([&] { return a.taken == 1; }));
  EXPECT_TRUE(can_bind(vip_.address));
  start(b, "site-a/access-1");
  EXPECT_NE(client_->get(SharedAddress::key_of(vip_))->value.find("site-a/access-0"), std::string::npos);
  EXPECT_FALSE(eventually([&] { return b.taken > 0; }, 500));
  a.address.reset();
  EXPECT_EQ(a.lost, 1);
  EXPECT_FALSE(can_bind(vip_.address));
  EXPECT_FALSE(eventually([&] { return b.taken > 0; }, 300));  // something may be in flight
  a.stop();
  EXPECT_TRUE(eventually([&] { return b.taken == 1; }));
  EXPECT_TRUE(can_bind(vip_.address));
  b.address.reset();
  EXPECT_FALSE(can_bind(vip_.address));
}

TEST_F(SharedAddressTest, TheAddressIsSetOnlyWhenCoreServersKnowOfTheTaking) {
  Holder a, b;
  start(a, "site-a/access-0");
  ASSERT_TRUE(eventually([&] { return a.taken == 1; }));
  const uint64_t old = a.registration->identity().access_incarnation;
  start(b, "site-a/access-1");
  b.fence_stands = false;
  vanish(a);
  ASSERT_TRUE(eventually([&] { return b.fenced_at != 0; }));
  EXPECT_EQ(b.fenced_at, key().mod_revision.value);
  EXPECT_EQ(key().lease, b.registration->lease());
  // The old incarnation's record went no later than the key.
  EXPECT_EQ(client_->get("/shima/v1/access/site-a/access-0").status().code(), Code::kNotFound) << old;
  EXPECT_FALSE(can_bind(vip_.address));
  EXPECT_EQ(b.taken, 0);
  b.fence_stands = true;
  EXPECT_TRUE(eventually([&] { return b.taken == 1; }));
  EXPECT_TRUE(can_bind(vip_.address));
}

TEST_F(SharedAddressTest, WhoLosesItsLeaseWhileItWaitsForCoreServersDoesNotSetTheAddress) {
  Holder a;
  a.fence_stands = false;
  start(a, "site-a/access-0", 24'000);  // a third of it later it knows
  ASSERT_TRUE(eventually([&] { return a.fenced_at != 0; }));
  const int64_t first = a.fenced_at;
  ASSERT_TRUE(client_->revoke_lease(a.registration->lease()).is_ok());
  ASSERT_TRUE(eventually([&] { return a.fenced_at != first; }));  // registered anew, taken anew
  EXPECT_EQ(a.taken, 0);
  EXPECT_FALSE(can_bind(vip_.address));
  a.fence_stands = true;
  EXPECT_TRUE(eventually([&] { return a.taken == 1; }));
}

TEST_F(SharedAddressTest, AHolderThatRegistersAnewGivesItBack) {
  Holder a, b;
  start(a, "site-a/access-0");
  ASSERT_TRUE(eventually([&] { return a.taken == 1; }));
  const int64_t first = a.fenced_at;
  ASSERT_TRUE(a.registration->register_anew("the test wants it").is_ok());
  EXPECT_TRUE(eventually([&] { return a.lost == 1 && a.taken == 2; }));
  EXPECT_GT(a.fenced_at, first);  // core servers were waited for again
  EXPECT_EQ(key().lease, a.registration->lease());
}

TEST_F(SharedAddressTest, AHolderThatEtcdDoesNotHearGivesItUp) {
  Holder a;
  start(a, "site-a/access-0", 6000);
  ASSERT_TRUE(eventually([&] { return a.taken > 0; }));
  etcd_->freeze();
  EXPECT_TRUE(eventually([&] { return a.lost == a.taken && !can_bind(vip_.address); }));
  const int taken = a.taken;  // a stall may have made it lose it before
  etcd_->thaw();
  EXPECT_TRUE(eventually([&] { return a.taken > taken; }));
}

TEST_F(SharedAddressTest, AServerThatCannotListenOnItLeavesItToOthers) {
  Holder a, b;
  a.cannot_listen = true;
  start(a, "site-a/access-0");
  ASSERT_TRUE(eventually([&] { return a.lost > 0; }));
  start(b, "site-a/access-1");
  EXPECT_TRUE(eventually([&] { return b.taken == 1; }));
}

}  // namespace
}  // namespace shima
