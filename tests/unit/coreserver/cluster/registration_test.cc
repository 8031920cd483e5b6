// Registration of core servers, and sites, against a real etcd.
#include "coreserver/cluster/registration.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "coreserver/cluster/counter.h"
#include "tests/unit/coreserver/cluster/cluster_fixture.h"

namespace shima {
namespace {

TEST_F(Cluster, ANewServerGetsAnIdAndEachStartAnIncarnation) {
  auto first = enter(server_spec("site-a/core-0"));
  auto second = enter(server_spec("site-a/core-1"));
  EXPECT_NE(first->id(), second->id());
  EXPECT_EQ(first->incarnation(), Incarnation(1));
  ServerId id = first->id();
  first.reset();
  first = enter(server_spec("site-a/core-0"));
  EXPECT_EQ(first->id(), id);
  EXPECT_EQ(first->incarnation(), Incarnation(2));
}

TEST_F(Cluster, NumbersOfACounterAreGivenOnce) {
  std::mutex mutex;
  std::multiset<uint64_t> given;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10; ++n) {
        uint64_t number = next_number(*etcd_, "test", kPatientMs).value();
        std::lock_guard lock(mutex);
        given.insert(number);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(given.size(), 40u);
  EXPECT_EQ(std::set<uint64_t>(given.begin(), given.end()).size(), 40u);
}

TEST_F(Cluster, SitesAreMadeByHandOnce) {
  ASSERT_TRUE(create_site(*etcd_, {"site-x", {{"zone", "x"}}, {"10.7.0.0/16"}, {}}));
  EXPECT_EQ(create_site(*etcd_, {"site-x", {}, {}, {}}).code(), Code::kAlreadyExists);
  EXPECT_EQ(create_site(*etcd_, {"site-y", {}, {"10.7.1.0/24"}, {}}).code(), Code::kInvalidArgument);
}

TEST_F(Cluster, TheSitesRecordIsMadeOnceAndDifferencesAreWarnedOf) {
  RegistrationSpec spec = server_spec("site-a/core-0", "10.1.0.1");
  spec.site_cidrs = {"10.1.0.0/16"};
  spec.site_labels = {{"topology.kubernetes.io/zone", "a"}};
  auto first = enter(spec);
  EXPECT_TRUE(first->warnings().empty());
  EXPECT_EQ(decode_site(*etcd_->get(site_key("site-a")))->cidrs, spec.site_cidrs);
  RegistrationSpec other = server_spec("site-a/core-1", "10.1.0.2");
  other.site_cidrs = {"10.0.0.0/8"};
  EXPECT_EQ(enter(other)->warnings().size(), 1u);
}

TEST_F(Cluster, AServerWithAnotherSitesAddressIsRefused) {
  RegistrationSpec a = server_spec("site-a/core-0", "10.1.0.1");
  a.site_cidrs = {"10.1.0.0/16"};
  auto first = enter(a);
  auto wrong =
      Registration::start(*etcd_, server_spec("site-b/core-0", "10.1.0.9"), [](const RegistrationEvent&) {});
  EXPECT_EQ(wrong.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(wrong.status().message().find("site-a"), std::string::npos);
  EXPECT_EQ(etcd_->get(site_key("site-b")).status().code(), Code::kNotFound);
  auto outside =
      Registration::start(*etcd_, server_spec("site-a/core-1", "10.9.0.9"), [](const RegistrationEvent&) {});
  EXPECT_EQ(outside.status().code(), Code::kFailedPrecondition);
}

TEST_F(ClusterWithEtcdAway, ALostLeaseIsToldAndTheSameIncarnationComesBack) {
  std::atomic<int> lost{0}, back{0};
  RegistrationSpec brief = server_spec("site-a/core-0");
  brief.lease_ttl_ms = 4000;
  auto server = enter(brief, [&](const RegistrationEvent& e) {
    if (e.kind == RegistrationEvent::Kind::kLeaseLost) ++lost;
    if (e.kind == RegistrationEvent::Kind::kAliveAgain) ++back;
  });
  Incarnation incarnation = server->incarnation();
  server_.kill();
  ASSERT_TRUE(eventually([&] { return lost > back && !server->is_alive(); }));
  server_.start();
  // Whatever stalls, and loses the lease once more, it comes back.
  ASSERT_TRUE(eventually([&] { return back == lost && server->is_alive(); }));
  Result<EtcdKeyValue> alive = Status(Code::kNotFound, "not read yet");
  ASSERT_TRUE(eventually([&] { return (alive = etcd_->get(alive_key("site-a/core-0"))).is_ok(); }));
  EXPECT_EQ(decode_alive(*alive)->incarnation, incarnation);
}

TEST_F(Cluster, AnOlderProcessIsToldThatItIsSuperseded) {
  std::atomic<int> superseded{0};
  auto older = enter(server_spec("site-a/core-0"), [&](const RegistrationEvent& e) {
    if (e.kind == RegistrationEvent::Kind::kSuperseded) ++superseded;
  });
  const EtcdLease lease = etcd_->get(alive_key("site-a/core-0"))->lease;
  auto newer = enter(server_spec("site-a/core-0"));
  EXPECT_TRUE(eventually([&] { return superseded == 1; }));
  EXPECT_FALSE(older->is_alive());
  older.reset();
  ASSERT_TRUE(etcd_->revoke_lease(lease));  // as its end: the record is under the newer one's
  EXPECT_EQ(decode_alive(*etcd_->get(alive_key("site-a/core-0")))->incarnation, newer->incarnation());
}

}  // namespace
}  // namespace shima
