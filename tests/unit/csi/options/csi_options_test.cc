#include "csi/options/csi_options.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

const std::vector<std::string> kController = {"--endpoint=unix:///csi/csi.sock", "--controller",
                                              "--core=10.1.0.11:7000,[fd00::1]:7000"};
const std::vector<std::string> kNode = {"--endpoint=unix:///csi/csi.sock",
                                        "--node",
                                        "--core=10.1.0.11:7000",
                                        "--node-name=worker-1.example",
                                        "--site=site-a",
                                        "--state-dir=/run/shima/node",
                                        "--mounter-endpoint=unix:///run/shima/mounter.sock"};
const std::vector<std::string> kMounter = {"--endpoint=unix:///run/shima/mounter.sock",
                                           "--mounter",
                                           "--core=10.1.0.11:7000",
                                           "--site=site-a",
                                           "--state-dir=/run/shima/mounter",
                                           "--accessserver=/usr/bin/shima-accessserver"};

Result<CsiOptions> load(std::vector<std::string> flags, const std::vector<std::string>& more = {}) {
  flags.insert(flags.end(), more.begin(), more.end());
  Result<Config> config = parse_config(csi_option_specs(), "", "csi.yaml", flags);
  if (!config) return config.status();
  return csi_options_from(*config);
}

std::string error_of(const std::vector<std::string>& flags, const std::vector<std::string>& more = {}) {
  Result<CsiOptions> o = load(flags, more);
  return o ? "no error" : o.status().message();
}

// `flags` with one of them, named by its beginning, taken away or replaced.
std::vector<std::string> with(std::vector<std::string> flags, const std::string& begin,
                              const std::string& by) {
  std::erase_if(flags, [&](const std::string& flag) { return flag.starts_with(begin); });
  if (!by.empty()) flags.push_back(by);
  return flags;
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(CsiOptions, AControllerNeedsASocketAndCoreServers) {
  const auto o = load(kController);
  ASSERT_TRUE(o.is_ok()) << o.status().to_string();
  EXPECT_TRUE(o->controller);
  EXPECT_FALSE(o->node || o->mounter);
  EXPECT_EQ(o->socket_path, "/csi/csi.sock");
  EXPECT_EQ(o->core_endpoints, (std::vector<std::string>{"10.1.0.11:7000", "[fd00::1]:7000"}));
  EXPECT_EQ(o->driver_name, "shima.io");
  EXPECT_EQ(o->topology_key, "topology.kubernetes.io/zone");
  EXPECT_TRUE(says(error_of(with(kController, "--endpoint", "")), "endpoint"));
  EXPECT_TRUE(says(error_of(with(kController, "--core", "")), "core"));
}

TEST(CsiOptions, ANodeAndAMounterSayWhatTheyNeed) {
  const auto node = load(kNode);
  ASSERT_TRUE(node.is_ok()) << node.status().to_string();
  EXPECT_EQ(node->mounter_socket_path, "/run/shima/mounter.sock");
  EXPECT_EQ(node->publish_root, "/var/lib/kubelet");
  for (const std::string key : {"--node-name", "--state-dir", "--mounter-endpoint"})
    EXPECT_TRUE(says(error_of(with(kNode, key + "=", "")), "--node needs " + key)) << key;
  const auto mounter = load(kMounter);
  ASSERT_TRUE(mounter.is_ok()) << mounter.status().to_string();
  EXPECT_EQ(mounter->accessserver_path, "/usr/bin/shima-accessserver");
  EXPECT_TRUE(says(error_of(with(kMounter, "--site=", "")), "--mounter needs --node-name"));
  EXPECT_TRUE(load(with(kMounter, "--site=", "--node-name=worker-1")).is_ok());  // its label says the site
  for (const std::string key : {"--state-dir", "--accessserver"})
    EXPECT_TRUE(says(error_of(with(kMounter, key + "=", "")), "--mounter needs " + key)) << key;
}

TEST(CsiOptions, WithoutASiteTheNodesNameSaysWhereItIs) {
  const auto node = load(with(kNode, "--site=", ""));
  ASSERT_TRUE(node.is_ok()) << node.status().to_string();
  EXPECT_EQ(node->site, "");
  const auto nameless = with(kMounter, "--site=", "");
  EXPECT_TRUE(says(error_of(nameless), "--mounter needs --node-name"));
  EXPECT_TRUE(load(nameless, {"--node-name=worker-1"}).is_ok());
}

TEST(CsiOptions, ARoleIsGivenAndAMounterIsAlone) {
  EXPECT_TRUE(says(error_of(with(kController, "--controller", "")), "no role is given"));
  EXPECT_TRUE(load(kNode, {"--controller"}).is_ok());
  EXPECT_TRUE(says(error_of(kMounter, {"--controller"}), "a process of its own"));
  EXPECT_TRUE(says(error_of(kMounter, {"--node"}), "a process of its own"));
}

TEST(CsiOptions, WhatMeansNothingForTheRoleIsRefused) {
  for (const std::string flag :
       {"--node-name=a", "--site=site-a", "--node-addresses=10.0.0.1", "--mounter-endpoint=unix:///m.sock",
        "--nfs-server=10.0.0.1:2049", "--state-dir=/run/x", "--accessserver=/bin/true"}) {
    EXPECT_TRUE(says(error_of(kController, {flag}), "means something only with")) << flag;
  }
}

TEST(CsiOptions, EndpointsArePathsOfUnixSockets) {
  for (const std::string bad : {"/csi/csi.sock", "tcp://1.2.3.4:5", "unix://csi.sock", "unix:///",
                                "unix:///a/../b", "unix:///a//b", "unix:///a/"}) {
    EXPECT_TRUE(says(error_of(with(kController, "--endpoint", "--endpoint=" + bad)), "wanted unix:///PATH"))
        << bad;
  }
  const std::string longest = "unix:///" + std::string(106, 'a'), longer = longest + "a";
  EXPECT_TRUE(load(with(kController, "--endpoint", "--endpoint=" + longest)).is_ok());
  EXPECT_TRUE(says(error_of(with(kController, "--endpoint", "--endpoint=" + longer)), "at most 107 bytes"));
}

TEST(CsiOptions, TextsAreChecked) {
  EXPECT_TRUE(says(error_of(with(kController, "--core", "--core=10.0.0.1")), "HOST:PORT"));
  EXPECT_TRUE(says(error_of(with(kController, "--core", "--core=10.0.0.1:0")), "HOST:PORT"));
  EXPECT_TRUE(says(error_of(with(kController, "--core", "--core=10.0.0.1:65536")), "HOST:PORT"));
  EXPECT_TRUE(says(error_of(kController, {"--driver-name=-x"}), "domain name"));
  EXPECT_TRUE(says(error_of(kController, {"--driver-name=a_b"}), "domain name"));
  EXPECT_TRUE(says(error_of(kController, {"--topology-key=/zone"}), "a label's key"));
  EXPECT_TRUE(says(error_of(kController, {"--topology-key=a b"}), "a label's key"));
  EXPECT_TRUE(load(kController, {"--topology-key=zone"}).is_ok());
  EXPECT_TRUE(says(error_of(kController, {"--metrics-address=host"}), "IPv4 or IPv6"));
  EXPECT_TRUE(says(error_of(kNode, {"--node-addresses=host"}), "IPv4 or IPv6"));
  EXPECT_TRUE(says(error_of(kNode, {"--nfs-server=10.0.0.1"}), "HOST:PORT"));
  EXPECT_TRUE(says(error_of(kNode, {"--publish-root=var"}), "absolute path"));
  EXPECT_TRUE(says(error_of(with(kNode, "--site=", "--site=Zone")), "node's site"));
  EXPECT_TRUE(says(error_of(with(kNode, "--node-name=", "--node-name=a|b")), "node's name"));
  EXPECT_TRUE(
      says(error_of(with(kNode, "--node-name=", "--node-name=" + std::string(250, 'a'))), "at most 256"));
}

}  // namespace
}  // namespace shima
