// Which alerts there are, and what their counts are made of; that each fires is promtool's to say
// (tests/e2e/kube_alerts_test.py).
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Json = nlohmann::json;

std::map<std::string, Json> alerts_of(SampleCluster sample) {
  sample.observed.api_kinds = {"monitoring.coreos.com/v1/PrometheusRule"};
  const Json rule = find_object(sample.desired(), "PrometheusRule", "shima");
  std::map<std::string, Json> alerts;
  if (rule.is_null()) return alerts;
  for (const Json& alert : rule["spec"]["groups"][0]["rules"]) alerts[alert["alert"]] = alert;
  return alerts;
}

TEST(Alerts, CountTheServersThatThereShouldBe) {
  SampleCluster sample({"a", "b", "c"});
  EXPECT_EQ(alerts_of(sample)["ShimaCoreServersMissing"]["expr"],
            "(count(up{namespace=\"storage\",service=~\"shima-core-.*\"} == 1) or vector(0)) < 6");
  EXPECT_EQ(alerts_of(sample)["ShimaEtcdWithoutMajority"]["expr"],
            "(count(etcd_server_has_leader{namespace=\"storage\"} == 1) or vector(0)) < 2");
}

TEST(Alerts, SomebodyElsesEtcdIsNotCounted) {
  SampleCluster sample({"a", "b", "c"});
  sample.spec.etcd.endpoints = {"etcd-0.example:2379"};
  sample.spec.etcd.data = {};
  const auto alerts = alerts_of(sample);
  EXPECT_FALSE(alerts.contains("ShimaEtcdWithoutMajority"));
  EXPECT_TRUE(alerts.contains("ShimaEtcdAway"));
}

TEST(Alerts, EachSaysWhatItMeansAndWhereToReadOn) {
  const auto alerts = alerts_of(SampleCluster({"a"}));
  EXPECT_GE(alerts.size(), 13u);
  for (const auto& [name, alert] : alerts) {
    EXPECT_TRUE(name.starts_with("Shima")) << name;
    for (const char* what : {"summary", "description", "runbook"})
      EXPECT_FALSE(alert["annotations"][what].get<std::string>().empty()) << name << " " << what;
  }
}

}  // namespace
}  // namespace shima
