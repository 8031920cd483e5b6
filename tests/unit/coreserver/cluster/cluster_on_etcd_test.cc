// Registration, ClusterView and VolumeStore against a real etcd.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "coreserver/cluster/cluster_view.h"
#include "coreserver/cluster/counter.h"
#include "coreserver/cluster/records.h"
#include "coreserver/cluster/registration.h"
#include "coreserver/cluster/volume_store.h"
#include "tests/unit/common/etcd/etcd_fixture.h"

namespace shima {
namespace {

using replication::Role;

EtcdOptions hasty() {
  EtcdOptions o;
  o.call_timeout_ms = 2500;
  o.attempt_timeout_ms = 800;
  o.connect_timeout_ms = 800;
  o.watch_silence_ms = 1200;
  return o;
}

RegistrationSpec server_spec(const std::string& name, const std::string& address = "10.0.0.1") {
  RegistrationSpec spec;
  spec.name = name;
  spec.site = name.substr(0, name.find('/'));
  spec.failure_domain = "host-of-" + name;
  spec.networks = {{address, 7000}, {address, 7000}, {address, 7001}, {address, 7002}};
  spec.disk_total_bytes = 1ull << 40;
  spec.lease_ttl_ms = 4000;
  return spec;
}

class Cluster : public testing::Test {
 protected:
  std::unique_ptr<Registration> enter(const RegistrationSpec& spec, Registration::OnEvent on_event = {}) {
    auto quiet = [](const RegistrationEvent&) {};
    auto r = Registration::start(*etcd_, spec, on_event ? on_event : quiet);
    EXPECT_TRUE(r) << r.status().to_string();
    return std::move(r.value());
  }
  void enter_three_sites() {
    for (const char* site : {"site-a", "site-b", "site-c"}) {
      for (const char* core : {"/core-0", "/core-1"})
        servers_.push_back(enter(server_spec(std::string(site) + core)));
    }
  }
  Result<VolumeInfo> create(const std::string& name) {
    VolumeSpec spec;
    spec.name = name;
    return store_.create_volume(spec);
  }

  EtcdServer server_;
  std::unique_ptr<EtcdClient> etcd_ = std::move(EtcdClient::create({server_.endpoint()}, hasty()).value());
  VolumeStore store_{*etcd_, 5000};
  std::vector<std::unique_ptr<Registration>> servers_;
};

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
        uint64_t number = next_number(*etcd_, "test", 10000).value();
        std::lock_guard lock(mutex);
        given.insert(number);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(given.size(), 40u);
  EXPECT_EQ(std::set<uint64_t>(given.begin(), given.end()).size(), 40u);
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

TEST_F(Cluster, TheViewShowsWhoIsAlive) {
  auto view = ClusterView::start(*etcd_, nullptr).value();
  auto server = enter(server_spec("site-a/core-0"));
  ASSERT_TRUE(view->wait_for(server->revision(), 5000));
  const ServerInfo shown = *view->snapshot()->server_named("site-a/core-0");
  EXPECT_TRUE(shown.alive);
  EXPECT_EQ(shown.id, server->id());
  EXPECT_EQ(shown.networks.wan.port, 7001);
  ASSERT_TRUE(server->leave());
  EXPECT_TRUE(eventually([&] { return !view->snapshot()->server_named("site-a/core-0")->alive; }));
}

TEST_F(Cluster, AServerThatDiesIsShownDeadAfterItsLease) {
  auto view = ClusterView::start(*etcd_, nullptr).value();
  auto server = enter(server_spec("site-a/core-0"));
  ASSERT_TRUE(view->wait_for(server->revision(), 5000));
  server.reset();  // without leave(): as a crash
  EXPECT_TRUE(view->snapshot()->server_named("site-a/core-0")->alive);
  EXPECT_TRUE(eventually([&] { return !view->snapshot()->server_named("site-a/core-0")->alive; }));
}

TEST_F(Cluster, ALostLeaseIsToldAndTheSameIncarnationComesBack) {
  std::atomic<int> lost{0}, back{0};
  auto server = enter(server_spec("site-a/core-0"), [&](const RegistrationEvent& e) {
    if (e.kind == RegistrationEvent::Kind::kLeaseLost) ++lost;
    if (e.kind == RegistrationEvent::Kind::kAliveAgain) ++back;
  });
  Incarnation incarnation = server->incarnation();
  server_.kill();
  ASSERT_TRUE(eventually([&] { return lost == 1; }, 20000));
  EXPECT_FALSE(server->is_alive());
  server_.start();
  ASSERT_TRUE(eventually([&] { return back == 1; }, 15000));
  EXPECT_TRUE(server->is_alive());
  AliveInfo alive = decode_alive(*etcd_->get(alive_key("site-a/core-0"))).value();
  EXPECT_EQ(alive.incarnation, incarnation);
}

TEST_F(Cluster, AnOlderProcessIsToldThatItIsSuperseded) {
  std::atomic<int> superseded{0};
  auto older = enter(server_spec("site-a/core-0"), [&](const RegistrationEvent& e) {
    if (e.kind == RegistrationEvent::Kind::kSuperseded) ++superseded;
  });
  auto newer = enter(server_spec("site-a/core-0"));
  EXPECT_TRUE(eventually([&] { return superseded == 1; }));
  EXPECT_FALSE(older->is_alive());
  older.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(5000));
  EXPECT_EQ(decode_alive(*etcd_->get(alive_key("site-a/core-0")))->incarnation, newer->incarnation());
}

TEST_F(Cluster, TheViewServesTheLastStateWhileEtcdIsAway) {
  enter_three_sites();
  ASSERT_TRUE(create("db"));
  std::mutex mutex;
  std::set<std::string> changed;
  auto view = ClusterView::start(*etcd_, [&](const ClusterChange& c) {
                std::lock_guard lock(mutex);
                changed.insert(c.volumes.begin(), c.volumes.end());
              }).value();
  auto saw = [&](const char* name) {
    std::lock_guard lock(mutex);
    return changed.count(name) == 1;
  };
  server_.kill();
  EXPECT_TRUE(eventually([&] { return view->stale_ms() > 2000; }));
  EXPECT_EQ(view->snapshot()->volumes.count("db"), 1u);
  server_.start();
  EXPECT_TRUE(eventually([&] { return view->stale_ms() < 900; }));
  auto two = std::make_unique<VolumeStore>(*etcd_)->set_quotas("db", 1 << 20);
  ASSERT_TRUE(two) << two.status().to_string();
  ASSERT_TRUE(view->wait_for(two->mod_revision, 5000));
  EXPECT_EQ(view->snapshot()->volumes.at("db").size_bytes, 1u << 20);
  EXPECT_TRUE(eventually([&] { return saw("db"); }));
}

TEST_F(Cluster, ARecordThatCannotBeReadDoesNotReplaceTheLastGoodOne) {
  enter_three_sites();
  VolumeInfo good = create("db").value();
  auto view = ClusterView::start(*etcd_, nullptr).value();
  auto newer = etcd_->put(volume_key("db"), "{\"magic\":\"shima-volume\",\"version\":9}");
  ASSERT_TRUE(view->wait_for(*newer, 5000));
  EXPECT_EQ(view->snapshot()->volumes.at("db"), good);
  EXPECT_EQ(view->snapshot()->unreadable.count(volume_key("db")), 1u);
  EXPECT_EQ(store_.set_quotas("db", 1).status().code(), Code::kCorrupt);
}

TEST_F(Cluster, PublicationsAndRegisteredAccessServersAreSeen) {
  enter_three_sites();
  std::atomic<int> told{0};
  auto view = ClusterView::start(*etcd_, [&](const ClusterChange& c) { told += c.access_changed; }).value();
  const std::string name = "site-a/access-0";
  auto put = etcd_->put(access_key(name), encode_access({name, 3, {}}));
  ASSERT_TRUE(put && view->wait_for(*put, 5000));
  EXPECT_EQ(view->snapshot()->access.at(name), 3u);
  EXPECT_EQ(told, 1) << "wait_for() comes after the callback";
  put = etcd_->put(access_key(name), "rubbish");
  ASSERT_TRUE(put && view->wait_for(*put, 5000));
  EXPECT_EQ(view->snapshot()->access.count(name), 0u) << "who cannot be read is not let in";
  EXPECT_EQ(view->snapshot()->unreadable.count(access_key(name)), 1u);
  put = etcd_->put(access_key(name), encode_access({name, 4, {}}));
  auto gone = etcd_->compare_and_remove(access_key(name), *put);
  ASSERT_TRUE(gone && view->wait_for(*gone, 5000));
  EXPECT_TRUE(view->snapshot()->access.empty());

  VolumeSpec spec;
  spec.name = "db";
  spec.published_only = true;
  ASSERT_TRUE(store_.create_volume(spec));
  PublicationInfo node{"node-1", 0, "site-b", false, {"10.1.0.5"}, 7};
  VolumeInfo published = store_.publish("db", node).value();
  ASSERT_TRUE(view->wait_for(published.mod_revision, 5000));
  EXPECT_EQ(view->snapshot()->volumes.at("db").publication_of("node-1")->id, published.config_version.value);
  EXPECT_EQ(store_.publish("db", node)->mod_revision, published.mod_revision);
  VolumeInfo taken = store_.unpublish("db", "node-1").value();
  EXPECT_GT(taken.mod_revision, published.mod_revision);
  EXPECT_EQ(store_.unpublish("db", "node-1")->mod_revision, taken.mod_revision);
  EXPECT_EQ(store_.publish("absent", node).status().code(), Code::kNotFound);
}

TEST_F(Cluster, AVolumeIsMadeWithItsMembersAndTheirIncarnations) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  EXPECT_EQ(v, store_.get("db").value());
  EXPECT_EQ(v.home, "site-a");
  EXPECT_EQ(v.data_groups(), 8u);
  EXPECT_EQ(v.member_servers().size(), 6u);
  EXPECT_EQ(v.groups[0].members[0].incarnation, Incarnation(1));
  EXPECT_EQ(create("db").status().code(), Code::kAlreadyExists);
  EXPECT_GT(create("db2")->id, v.id);
  EXPECT_EQ(store_.list()->size(), 2u);
  EXPECT_EQ(store_.get("none").status().code(), Code::kNotFound);
}

TEST_F(Cluster, OfRacingCreationsOfANameOneWins) {
  enter_three_sites();
  std::atomic<int> made{0}, existed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      Result<VolumeInfo> v = create("db");
      if (v)
        ++made;
      else if (v.status().code() == Code::kAlreadyExists)
        ++existed;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(existed, 5);
}

TEST_F(Cluster, ARestartClaimsEveryVolumeOfTheServer) {
  enter_three_sites();
  ASSERT_TRUE(create("db"));
  ASSERT_TRUE(create("db2"));
  ServerId id = servers_[0]->id();
  servers_[0].reset();
  servers_[0] = enter(server_spec("site-a/core-0"));
  auto claimed = store_.claim_restart(id, servers_[0]->incarnation()).value();
  ASSERT_EQ(claimed.size(), 2u);
  for (const VolumeInfo& v : claimed) {
    EXPECT_EQ(v.config_version, ConfigVersion(2));
    for (const GroupInfo& g : v.groups) {
      bool primary = g.find(id) && g.find(id)->role == Role::kPrimary;
      if (g.find(id)) {
        EXPECT_EQ(g.find(id)->incarnation, Incarnation(2));
      }
      EXPECT_EQ(g.term, primary ? Term(2) : Term(1));
    }
  }
  EXPECT_EQ(store_.claim_restart(id, servers_[0]->incarnation()).value(), claimed);
  EXPECT_EQ(store_.claim_restart(id, Incarnation(1)).status().code(), Code::kStaleTerm);
}

TEST_F(Cluster, RacingChangesOfOneVolumeAllArrive) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (const auto& server : servers_) {
    threads.emplace_back([&, id = server->id()] { failed += !store_.claim_restart(id, Incarnation(5)); });
  }
  threads.emplace_back([&] { failed += !store_.set_quotas("db", 1 << 30); });
  for (auto& t : threads) t.join();
  VolumeInfo now = store_.get("db").value();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(now.config_version.value, v.config_version.value + 7);
  EXPECT_EQ(now.size_bytes, 1u << 30);
  for (const GroupInfo& g : now.groups) {
    EXPECT_EQ(g.term, Term(2));
    for (const MemberInfo& m : g.members) EXPECT_EQ(m.incarnation, Incarnation(5));
  }
}

TEST_F(Cluster, MembershipIsChangedByThePrimarysTermOnly) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  ServerId remote = v.groups[3].members[2].server;
  VolumeInfo now =
      store_.update_membership("db", GroupIndex(3), Term(1), v.config_version, remote, false, false).value();
  EXPECT_FALSE(now.groups[3].find(remote)->whole);
  EXPECT_EQ(store_.update_membership("db", GroupIndex(3), Term(7), now.config_version, remote, true, true)
                .status()
                .code(),
            Code::kStaleTerm);
}

TEST_F(Cluster, TheLastMemberThatDropsRemovesTheRecord) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  EXPECT_EQ(store_.confirm_dropped("db", v.id, servers_[0]->id()).code(), Code::kFailedPrecondition);
  ASSERT_TRUE(store_.mark_deleting("db"));
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (const auto& server : servers_) {
    threads.emplace_back(
        [&, id = server->id()] { failed += !store_.confirm_dropped("db", v.id, id).is_ok(); });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(store_.get("db").status().code(), Code::kNotFound);
  EXPECT_TRUE(store_.confirm_dropped("db", v.id, servers_[0]->id()));
  VolumeInfo next = create("db").value();
  EXPECT_GT(next.id, v.id);
  ASSERT_TRUE(store_.confirm_dropped("db", v.id, servers_[0]->id()));  // of the old volume: nothing happens
  EXPECT_EQ(store_.get("db").value(), next);
}

// R4: etcd does not answer, then does. Whatever became of the first request, the claim ends made, and made
// once.
TEST_F(Cluster, AClaimWithAnUnknownOutcomeEndsMadeExactlyOnce) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  ServerId primary = v.groups[0].members[0].server;
  for (uint64_t round = 2; round <= 4; ++round) {
    std::thread frozen([&] {
      server_.freeze();
      std::this_thread::sleep_for(std::chrono::milliseconds(4000));
      server_.thaw();
    });
    VolumeStore patient(*etcd_, 20000);
    Result<VolumeInfo> claimed = patient.claim_volume("db", primary, Incarnation(round));
    frozen.join();
    ASSERT_TRUE(claimed) << claimed.status().to_string();
    EXPECT_EQ(claimed->groups[0].term, Term(round));
    EXPECT_EQ(store_.get("db").value(), *claimed);
  }
}

TEST_F(Cluster, AClaimThatRunsOutOfTimeSaysWhetherItMayYetBeMade) {
  enter_three_sites();
  VolumeInfo v = create("db").value();
  server_.kill();
  VolumeStore hurried(*etcd_, 1000);
  Status s = hurried.claim_volume("db", v.groups[0].members[0].server, Incarnation(2)).status();
  EXPECT_EQ(s.code(), Code::kUnavailable) << s.to_string();  // it was never sent
  server_.start();
}

TEST_F(Cluster, SitesAreMadeByHandOnce) {
  ASSERT_TRUE(create_site(*etcd_, {"site-x", {{"zone", "x"}}, {"10.7.0.0/16"}, {}}));
  EXPECT_EQ(create_site(*etcd_, {"site-x", {}, {}, {}}).code(), Code::kAlreadyExists);
  EXPECT_EQ(create_site(*etcd_, {"site-y", {}, {"10.7.1.0/24"}, {}}).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace shima
