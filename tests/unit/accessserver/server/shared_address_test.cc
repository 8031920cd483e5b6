// The shared address against a real etcd, in a network namespace of the test's own.
#include "accessserver/server/shared_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <atomic>

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
    client_ = EtcdClient::create({etcd_->endpoint()}).value();
  }
  struct Holder {
    std::atomic<int> taken{0}, lost{0};
    std::atomic<bool> cannot_listen{false};
    std::unique_ptr<SharedAddress> address;
  };
  void start(Holder& h, const std::string& name) {
    h.address = std::make_unique<SharedAddress>(
        *client_, SharedAddressOptions{vip_, name, 2000, 50},
        SharedAddress::Handlers{[&h] {
                                  h.taken++;
                                  return h.cannot_listen ? Status(Code::kUnavailable, "in use")
                                                         : Status::ok();
                                },
                                [&h] { h.lost++; }});
  }

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
  EXPECT_TRUE(eventually([&] { return b.taken == 1; }));
  EXPECT_TRUE(can_bind(vip_.address));
  b.address.reset();
  EXPECT_FALSE(can_bind(vip_.address));
}

TEST_F(SharedAddressTest, AHolderThatEtcdDoesNotHearGivesItUp) {
  Holder a;
  start(a, "site-a/access-0");
  ASSERT_TRUE(eventually([&] { return a.taken == 1; }));
  etcd_->freeze();
  EXPECT_TRUE(eventually([&] { return a.lost == 1; }, 60000));
  EXPECT_FALSE(can_bind(vip_.address));
  etcd_->thaw();
  EXPECT_TRUE(eventually([&] { return a.taken == 2; }, 60000));
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
