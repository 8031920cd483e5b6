// Which releases a cluster lets in, against a real etcd.
#include <gtest/gtest.h>

#include "coreserver/cluster/cluster_view.h"
#include "tests/unit/coreserver/cluster/cluster_fixture.h"

namespace shima {
namespace {

ServerSoftware release(uint32_t number, uint32_t formats_level) {
  return {"0." + std::to_string(number) + ".0", number, formats_level, 1, 1};
}

TEST_F(Cluster, AServerTellsWhatItRuns) {
  auto view = ClusterView::start(*etcd_, nullptr).value();
  auto server = enter(server_spec("site-a/core-0"));
  ASSERT_TRUE(view->wait_for(server->revision(), kPatientMs));
  EXPECT_EQ(view->snapshot()->server_named("site-a/core-0")->software, this_software());
  EXPECT_EQ(view->snapshot()->formats_level, 1u);
}

TEST_F(Cluster, AProgramThatSkipsAReleaseIsRefusedAndTheClusterKnowsWhy) {
  auto view = ClusterView::start(*etcd_, nullptr).value();
  RegistrationSpec old = server_spec("site-a/core-0"), next = server_spec("site-a/core-1");
  old.software = release(1, 1);
  next.software = release(3, 1);
  auto first = enter(old);
  const auto nobody = [](const RegistrationEvent&) {};
  const Status refused = Registration::start(*etcd_, next, nobody).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_EQ(etcd_->get(server_key("site-a/core-1")).status().code(), Code::kNotFound);
  ASSERT_TRUE(eventually([&] { return view->snapshot()->refused.contains("site-a/core-1"); }));
  EXPECT_EQ(view->snapshot()->refused.at("site-a/core-1").reason, refused.message());
  EXPECT_EQ(view->snapshot()->refused.at("site-a/core-1").version, "0.3.0");
  next.software = release(2, 1);
  auto second = enter(next);
  EXPECT_TRUE(eventually([&] { return view->snapshot()->refused.empty(); }));
}

TEST_F(Cluster, FormatsAreRaisedWhenTheLastServerReadsThemAndThenOlderProgramsAreRefused) {
  auto view = ClusterView::start(*etcd_, nullptr).value();
  RegistrationSpec a = server_spec("site-a/core-0"), b = server_spec("site-b/core-0");
  a.software = b.software = release(1, 1);
  auto first = enter(a), second = enter(b);
  a.software = b.software = release(2, 2);
  first.reset();
  first = enter(a);
  EXPECT_EQ(etcd_->get(formats_key()).status().code(), Code::kNotFound) << "one does not read them yet";
  second.reset();
  second = enter(b);
  EXPECT_EQ(decode_formats(*etcd_->get(formats_key()))->level, 2u);
  ASSERT_TRUE(eventually([&] { return view->snapshot()->formats_level == 2; }));
  second.reset();
  b.software = release(1, 1);
  const Status refused = Registration::start(*etcd_, b, [](const RegistrationEvent&) {}).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << refused.to_string();
  b.software = release(2, 2);
  EXPECT_TRUE(enter(b)) << "the release that raised them is let in";
}

// It asked before the gate was raised, and registers after it.
TEST_F(Cluster, AProgramThatWasLetInBeforeTheGateWasRaisedMustAskAgain) {
  RegistrationSpec a = server_spec("site-a/core-0");
  a.software = release(2, 2);
  const Result<EtcdRevision> asked = admit_software(*etcd_, "site-b/core-0", release(1, 1));
  ASSERT_TRUE(asked) << asked.status().to_string();
  auto first = enter(a);
  EXPECT_EQ(decode_formats(*etcd_->get(formats_gate_key()))->level, 2u);
  EXPECT_EQ(etcd_->transact({{formats_gate_key(), *asked}}, {EtcdOperation::put("/shima/v1/servers/x", "y")})
                .status()
                .code(),
            Code::kConflict);
  EXPECT_EQ(admit_software(*etcd_, "site-b/core-0", release(1, 1)).status().code(),
            Code::kFailedPrecondition);
}

TEST_F(Cluster, AGateThatADeadServerLeftRaisedKeepsOlderProgramsOutAndIsGoneOnFrom) {
  ASSERT_TRUE(etcd_->put(formats_gate_key(), encode_formats({2, "site-a/core-9"})));
  EXPECT_EQ(admit_software(*etcd_, "site-b/core-0", release(1, 1)).status().code(),
            Code::kFailedPrecondition);
  RegistrationSpec a = server_spec("site-a/core-0");
  a.software = release(2, 2);
  auto first = enter(a);
  EXPECT_EQ(decode_formats(*etcd_->get(formats_key()))->level, 2u);
}

// Not all servers read any more what the dead one meant to raise.
TEST_F(Cluster, AGateThatADeadServerLeftTooHighIsLowered) {
  RegistrationSpec a = server_spec("site-a/core-0"), b = server_spec("site-b/core-0");
  a.software = release(2, 2);
  auto first = enter(a);
  ASSERT_TRUE(etcd_->put(formats_gate_key(), encode_formats({3, "site-c/core-0"})));
  b.software = release(3, 3);
  auto second = enter(b);
  EXPECT_EQ(decode_formats(*etcd_->get(formats_gate_key()))->level, 2u);
  EXPECT_EQ(decode_formats(*etcd_->get(formats_key()))->level, 2u);
  EXPECT_TRUE(admit_software(*etcd_, "site-c/core-0", release(2, 2))) << "nothing above level 2 is written";
}

TEST_F(Cluster, AGateOfAServerThatRunsIsItsOwnToLower) {
  RegistrationSpec a = server_spec("site-a/core-0"), b = server_spec("site-b/core-0");
  a.software = release(2, 2);
  auto first = enter(a);
  ASSERT_TRUE(etcd_->put(formats_gate_key(), encode_formats({3, "site-a/core-0"})));
  b.software = release(3, 3);
  auto second = enter(b);
  EXPECT_EQ(decode_formats(*etcd_->get(formats_gate_key()))->level, 3u);
}

TEST_F(Cluster, ARefusalIsRenewedEachTimeAndLeavesNoLeaseBehind) {
  auto first = enter(server_spec("site-a/core-0"));
  const std::string key = refusal_key("site-a/core-1");
  ASSERT_FALSE(admit_software(*etcd_, "site-a/core-1", release(3, 1)));
  const EtcdLease before = etcd_->get(key)->lease;
  ASSERT_FALSE(admit_software(*etcd_, "site-a/core-1", release(3, 1)));
  const auto now = etcd_->get(key);
  ASSERT_TRUE(now) << "it went with the lease of before";
  EXPECT_NE(now->lease, before);
  EXPECT_EQ(etcd_->revoke_lease(before).code(), Code::kNotFound);
}

// Alone, so that nobody else's release is compared with; and nothing of it is written.
TEST_F(Cluster, AProgramThatIsRefusedMakesNoSite) {
  ASSERT_TRUE(etcd_->put(formats_key(), encode_formats({2, "site-a/core-0"})));
  const Status refused =
      Registration::start(*etcd_, server_spec("site-x/core-0"), [](const RegistrationEvent&) {}).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << refused.to_string();
  EXPECT_EQ(etcd_->get(site_key("site-x")).status().code(), Code::kNotFound);
}

TEST_F(Cluster, AServerThatSkipsAReleaseOfItsOwnIsRefused) {
  RegistrationSpec a = server_spec("site-a/core-0");
  a.software = release(1, 1);
  ASSERT_TRUE(enter(a)->leave());
  a.software = release(3, 1);
  const Status refused = Registration::start(*etcd_, a, [](const RegistrationEvent&) {}).status();
  EXPECT_NE(refused.message().find("this server ran 0.1.0"), std::string::npos) << refused.to_string();
}

// A server from before there was a record of its software: the same keys but that one.
TEST_F(Cluster, ServersThatAreTooOldToSayCountAsReleaseOne) {
  auto first = enter(server_spec("site-a/core-0"));
  ASSERT_TRUE(etcd_->compare_and_remove(software_key("site-a/core-0"),
                                        etcd_->get(software_key("site-a/core-0"))->mod_revision));
  RegistrationSpec next = server_spec("site-a/core-1");
  next.software = release(2, 2);
  auto second = enter(next);
  EXPECT_EQ(etcd_->get(formats_key()).status().code(), Code::kNotFound);
  next = server_spec("site-b/core-0");
  next.software = release(3, 2);
  const Status refused = Registration::start(*etcd_, next, [](const RegistrationEvent&) {}).status();
  EXPECT_NE(refused.message().find("a version that it does not say"), std::string::npos)
      << refused.to_string();
}

}  // namespace
}  // namespace shima
