#include "operator/desired/access_addresses.h"

#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

constexpr char kService[] = "ns/shima-access-a", kRecord[] = "ns/shima-access-addresses";

class AccessAddressesTest : public ClusterReconcilerTest {
 protected:
  // As Kubernetes does it for a Service without one.
  void give_address(const std::string& address) {
    kube_.edit(service_kind(), kService, [&](json& service) { service["spec"]["clusterIP"] = address; });
  }
  std::string address() { return address_of_service(*kube_.get(service_kind(), kService)); }
  std::string recorded() {
    const ObjectPointer record = kube_.get(config_map_kind(), kRecord);
    return record ? text_at(*record, "/data/shima-access-a") : "none";
  }
  size_t told() const {
    size_t told = 0;
    for (const auto& [key, event] : kube_.all(event_kind()))
      told += text_at(*event, "/reason") == "AccessAddressChanged" ? 1 : 0;
    return told;
  }
  void make_cluster_with_address() {
    make_cluster();
    reconcile();
    EXPECT_EQ(recorded(), "none");
    give_address("10.96.0.7");
    reconcile();
    EXPECT_EQ(recorded(), "10.96.0.7");
    reconcile();  // sees what it made
  }
};

TEST_F(AccessAddressesTest, AServiceThatSomebodyDeletesComesBackWithItsAddress) {
  make_cluster_with_address();
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply "), 0u);
  EXPECT_EQ(kube_.count_calls("get "), 0u);
  kube_.take(service_kind(), kService);
  reconcile();
  EXPECT_EQ(address(), "10.96.0.7");
  EXPECT_EQ(told(), 0u);
}

TEST_F(AccessAddressesTest, ARestartedOperatorKnowsItToo) {
  make_cluster_with_address();
  restart_operator();
  kube_.take(service_kind(), kService);
  kube_.hidden.insert("ConfigMap");  // its watch has not begun
  reconcile();
  EXPECT_EQ(address(), "10.96.0.7");
}

TEST_F(AccessAddressesTest, WithoutTheRecordNoServiceIsMade) {
  make_cluster_with_address();
  restart_operator();
  kube_.take(service_kind(), kService);
  kube_.hidden.insert("ConfigMap");
  kube_.refusals["get ConfigMap"] = Status(Code::kPermissionDenied, "forbidden");
  reconcile();
  EXPECT_EQ(kube_.get(service_kind(), kService), nullptr);
}

TEST_F(AccessAddressesTest, AnAddressThatSomebodyHasTakenIsReplacedAndTold) {
  make_cluster_with_address();
  kube_.take(service_kind(), kService);
  kube_.taken_addresses.insert("10.96.0.7");
  reconcile();
  ASSERT_NE(kube_.get(service_kind(), kService), nullptr) << "without an address";
  EXPECT_EQ(condition("ObjectsApplied")["status"], "True");
  give_address("10.96.0.9");
  reconcile();
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(recorded(), "10.96.0.9");
  reconcile();
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(address(), "10.96.0.9");
}

TEST_F(AccessAddressesTest, OtherRefusalsOfAServiceAreTold) {
  make_cluster_with_address();
  kube_.take(service_kind(), kService);
  kube_.refusals["apply Service shima-access-a"] = Status(Code::kInvalidArgument, "a webhook says no");
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("apply Service shima-access-a"), 1u);
  EXPECT_EQ(condition("ObjectsApplied")["status"], "False");
}

TEST_F(AccessAddressesTest, TheRecordStaysWhileNoAccessServersAreAskedForAndGoesWithTheCluster) {
  make_cluster_with_address();
  kube_.edit(shima_cluster_kind(), kKey,
             [](json& cluster) { cluster["spec"]["accessServers"]["perSite"] = 0; });
  reconcile();
  EXPECT_EQ(kube_.get(service_kind(), kService), nullptr);
  EXPECT_EQ(recorded(), "10.96.0.7");
  ask_for_deletion();
  for (int i = 0; i < 10 && kube_.get(shima_cluster_kind(), kKey); ++i) {
    hear_core_servers();
    reconcile();
  }
  EXPECT_EQ(recorded(), "none");
}

TEST(AccessAddresses, WhatIsNoAddressIsPassedOver) {
  const json record = {{"data", {{"a", "None"}, {"b", "fd00::1"}, {"c", ""}, {"d", 3}}}};
  EXPECT_EQ(read_access_addresses(record), (AccessAddresses{{"b", "fd00::1"}}));
  EXPECT_TRUE(read_access_addresses({{"data", "all"}}).empty());
  EXPECT_EQ(address_of_service({{"spec", {{"clusterIP", "None"}}}}), "");
}

}  // namespace
}  // namespace shima
