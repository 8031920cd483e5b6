// ClusterView against a real etcd.
#include "coreserver/cluster/cluster_view.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "tests/unit/coreserver/cluster/cluster_fixture.h"

namespace shima {
namespace {

TEST_F(Cluster, TheViewShowsWhoIsAlive) {
  auto view = ClusterView::start(*etcd_, nullptr).value();
  auto server = enter(server_spec("site-a/core-0"));
  ASSERT_TRUE(view->wait_for(server->revision(), kPatientMs));
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
  ASSERT_TRUE(view->wait_for(server->revision(), kPatientMs));
  const EtcdLease lease = etcd_->get(alive_key("site-a/core-0"))->lease;
  server.reset();  // without leave(): as a crash
  EXPECT_TRUE(view->snapshot()->server_named("site-a/core-0")->alive);
  ASSERT_TRUE(etcd_->revoke_lease(lease));  // as its end
  EXPECT_TRUE(eventually([&] { return !view->snapshot()->server_named("site-a/core-0")->alive; }));
}

TEST_F(ClusterWithEtcdAway, TheViewServesTheLastStateWhileEtcdIsAway) {
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
  auto two = store_.set_quotas("db", 1 << 20);
  ASSERT_TRUE(two) << two.status().to_string();
  ASSERT_TRUE(view->wait_for(two->mod_revision, kPatientMs));
  EXPECT_EQ(view->snapshot()->volumes.at("db").size_bytes, 1u << 20);
  EXPECT_TRUE(eventually([&] { return saw("db"); }));
}

TEST_F(Cluster, ARecordThatCannotBeReadDoesNotReplaceTheLastGoodOne) {
  enter_three_sites();
  VolumeInfo good = create("db").value();
  auto view = ClusterView::start(*etcd_, nullptr).value();
  auto newer = etcd_->put(volume_key("db"), "{\"magic\":\"shima-volume\",\"version\":9}");
  ASSERT_TRUE(view->wait_for(*newer, kPatientMs));
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
  ASSERT_TRUE(put && view->wait_for(*put, kPatientMs));
  EXPECT_EQ(view->snapshot()->access.at(name), 3u);
  EXPECT_EQ(told, 1) << "wait_for() comes after the callback";
  put = etcd_->put(access_key(name), "rubbish");
  ASSERT_TRUE(put && view->wait_for(*put, kPatientMs));
  EXPECT_EQ(view->snapshot()->access.count(name), 0u) << "who cannot be read is not let in";
  EXPECT_EQ(view->snapshot()->unreadable.count(access_key(name)), 1u);
  put = etcd_->put(access_key(name), encode_access({name, 4, {}}));
  auto gone = etcd_->compare_and_remove(access_key(name), *put);
  ASSERT_TRUE(gone && view->wait_for(*gone, kPatientMs));
  EXPECT_TRUE(view->snapshot()->access.empty());

  VolumeSpec spec;
  spec.name = "db";
  spec.published_only = true;
  ASSERT_TRUE(store_.create_volume(spec));
  PublicationInfo node{"node-1", 0, "site-b", false, {"10.1.0.5"}, 7};
  VolumeInfo published = store_.publish("db", node).value();
  ASSERT_TRUE(view->wait_for(published.mod_revision, kPatientMs));
  EXPECT_EQ(view->snapshot()->volumes.at("db").publication_of("node-1")->id, published.config_version.value);
  EXPECT_EQ(store_.publish("db", node)->mod_revision, published.mod_revision);
  VolumeInfo taken = store_.unpublish("db", "node-1").value();
  EXPECT_GT(taken.mod_revision, published.mod_revision);
  EXPECT_EQ(store_.unpublish("db", "node-1")->mod_revision, taken.mod_revision);
  EXPECT_EQ(store_.publish("absent", node).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace shima
