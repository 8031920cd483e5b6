#include "coreserver/options/server_options.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

constexpr const char* kLeast =
    "name: site-a/core-0\n"
    "etcd: {endpoints: ['127.0.0.1:2379']}\n"
    "disks: [{path: /srv/shima}]\n";

Result<ServerOptions> load(const std::string& more, const std::vector<std::string>& flags = {}) {
  Result<Config> config = parse_config(server_option_specs(), kLeast + more, "core.yaml", flags);
  if (!config) return config.status();
  return server_options_from(*config);
}

TEST(ServerOptions, TheLeastFileIsEnough) {
  ServerOptions o = load("").value();
  EXPECT_EQ(o.site, "site-a");
  EXPECT_FALSE(o.failure_domain.empty());
  EXPECT_EQ(o.client.address, "127.0.0.1");
  EXPECT_EQ(o.storage, o.client);
  EXPECT_EQ(o.wan, o.client);
  EXPECT_EQ(o.lease_ttl_ms, 6000u);
  EXPECT_EQ(o.journal_segment_bytes, 64u << 20);
  EXPECT_EQ(o.lag_budget_bytes, 10ull << 30);
  EXPECT_EQ(o.disks.at(0).path, "/srv/shima");
  EXPECT_EQ(o.disk_layer, DiskLayer::kPosix);
}

TEST(ServerOptions, NetworksDefaultToTheClientNetworks) {
  ServerOptions o = load(
                        "networks:\n"
                        "  client: {address: 10.1.0.1, port: 7000, advertise: core-0.example}\n"
                        "  wan: {address: 'fd00::1', port: 7001}\n")
                        .value();
  EXPECT_EQ(o.storage, o.client);
  EXPECT_EQ(o.storage.advertise, "core-0.example");
  EXPECT_EQ(o.wan.address, "fd00::1");
  EXPECT_EQ(o.wan.advertise, "fd00::1");
  EXPECT_EQ(o.wan.port, 7001);
}

TEST(ServerOptions, AWildcardAddressNeedsOneToAdvertise) {
  Result<ServerOptions> o = load("networks: {client: {address: 0.0.0.0}}\n");
  ASSERT_FALSE(o);
  EXPECT_NE(o.status().message().find("networks.client.advertise"), std::string::npos)
      << o.status().message();
  EXPECT_EQ(load("networks: {client: {address: '::', advertise: '[fd00::2]'}}\n")->client.advertise,
            "fd00::2");
}

TEST(ServerOptions, ANameMustBeASiteAndANumber) {
  for (const char* bad : {"core-0", "/core-0", "a/core-", "a/core-x", "a/access-0"}) {
    Result<ServerOptions> o = load("", {std::string("--name=") + bad});
    ASSERT_FALSE(o) << bad;
    EXPECT_NE(o.status().message().find("SITE/core-N"), std::string::npos);
  }
  EXPECT_FALSE(load("site: site-b\n"));
  EXPECT_TRUE(load("site: site-a\n"));
}

TEST(ServerOptions, AJournalHoldsAtLeastFourSegments) {
  EXPECT_FALSE(load("journal: {segment_bytes: 64MiB, max_bytes: 128MiB}\n"));
  EXPECT_TRUE(load("journal: {segment_bytes: 16MiB, max_bytes: 64MiB}\n"));
}

TEST(ServerOptions, ADiskIsNamedOnce) {
  Result<Config> config =
      parse_config(server_option_specs(),
                   "name: a/core-1\netcd: {endpoints: [h:1]}\ndisks: [{path: /x}, {path: /x}]\n", "f", {});
  ASSERT_TRUE(config) << config.status().message();
  EXPECT_FALSE(server_options_from(*config));
}

TEST(ServerOptions, TestSwitchesAreNamedValues) {
  EXPECT_EQ(load("test: {disk_layer: losing-ignore-sync}\n")->disk_layer, DiskLayer::kLosingIgnoreSync);
  EXPECT_FALSE(load("test: {disk_layer: floppy}\n"));
  EXPECT_EQ(load("", {"--test.protocol_bug=ship-before-commit"})->protocol_bug, "ship-before-commit");
}

TEST(ServerOptions, EveryOptionHasHelp) {
  for (const OptionSpec& spec : server_option_specs()) EXPECT_FALSE(spec.help.empty()) << spec.name;
}

}  // namespace
}  // namespace shima
