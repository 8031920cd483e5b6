#include "operator/server/operator_options.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

Result<OperatorOptions> read(const std::vector<std::string>& flags) {
  const auto config = parse_config(operator_option_specs(), "", "shima-operator.yaml", flags);
  if (!config) return config.status();
  return operator_options_from(*config);
}

void expect_refused(const std::vector<std::string>& flags, const std::string& words) {
  const auto options = read(flags);
  ASSERT_FALSE(options) << words;
  EXPECT_EQ(options.status().code(), Code::kInvalidArgument);
  EXPECT_NE(options.status().message().find(words), std::string::npos) << options.status().message();
}

TEST(OperatorOptions, NothingNeedsToBeGivenInAPod) {
  const auto options = read({});
  ASSERT_TRUE(options) << options.status().message();
  EXPECT_TRUE(options->kubeconfig.empty());
  EXPECT_TRUE(options->leader_election);
  EXPECT_EQ(options->lease_name, "shima-operator");
  EXPECT_FALSE(options->identity.empty()) << "the host's name";
  EXPECT_EQ(options->metrics_port, 8080);
  EXPECT_EQ(options->settle_ms, 10'000u);
}

TEST(OperatorOptions, WhatIsGivenIsTaken) {
  const auto options = read(
      {"--kubeconfig=/k", "--context=c", "--namespaces=one,two", "--leader-election=false", "--identity=me",
       "--image=registry:5000/shima/shima@sha256:0", "--health-interval=2s", "--metrics-port=0"});
  ASSERT_TRUE(options) << options.status().message();
  EXPECT_EQ(options->namespaces, (std::set<std::string>{"one", "two"}));
  EXPECT_FALSE(options->leader_election);
  EXPECT_EQ(options->identity, "me");
  EXPECT_EQ(options->image, "registry:5000/shima/shima@sha256:0");
  EXPECT_EQ(options->health_interval_ms, 2'000u);
}

TEST(OperatorOptions, WhatCannotBeIsRefusedWithWords) {
  expect_refused({"--context=c"}, "--kubeconfig");
  expect_refused({"--namespaces=Not/One"}, "Not/One");
  expect_refused({"--lease-name=UPPER"}, "UPPER");
  expect_refused({"--lease-namespace=a b"}, "a b");
  expect_refused({"--image=shima latest"}, "shima latest");
  expect_refused({"--image=" + std::string(513, 'x')}, "512");
  expect_refused({"--metrics-address=example.com"}, "IPv4 or IPv6");
  expect_refused({"--metrics-port=65536"}, "65536");
  expect_refused({"--health-interval=10ms"}, "health-interval");
  expect_refused({"--identity=" + std::string(200, 'x')}, "128");
}

}  // namespace
}  // namespace shima
