#include "accessserver/options/access_options.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

constexpr const char* kLeast =
    "name: site-a/access-0\n"
    "core: {endpoints: ['10.1.0.11:7000', '[fd00::1]:7000', core.example:7000]}\n";

Result<AccessOptions> load(const std::string& more, const std::vector<std::string>& flags = {}) {
  Result<Config> config = parse_config(access_option_specs(), kLeast + more, "access.yaml", flags);
  if (!config) return config.status();
  return access_options_from(*config);
}

std::string error_of(const std::string& more, const std::vector<std::string>& flags = {}) {
  Result<AccessOptions> o = load(more, flags);
  return o ? "no error" : o.status().message();
}

TEST(AccessOptions, TheLeastFileServesNfsToEverybody) {
  AccessOptions o = load("").value();
  EXPECT_EQ(o.site, "site-a");
  EXPECT_EQ(o.nfs_address, "0.0.0.0");
  EXPECT_EQ(o.nfs_port, 2049);
  EXPECT_EQ(o.metrics_port, 0);
  EXPECT_TRUE(o.mount.empty());
  EXPECT_EQ(o.core_endpoints.size(), 3u);
  for (const char* client : {"10.9.8.7", "fd00::7"}) {
    const Access access = access_of(o.export_rules, client);
    EXPECT_TRUE(access.allowed);
    EXPECT_FALSE(access.read_only);
    EXPECT_EQ(access.squash, Squash::kNone);
  }
}

TEST(AccessOptions, ExportRulesReplaceTheDefaultAndCarryTheAnonymousUser) {
  AccessOptions o = load(
                        "nfs:\n"
                        "  exports: ['10.1.0.0/16:ro:all_squash']\n"
                        "  anonymous_uid: 99\n"
                        "  anonymous_gid: 98\n")
                        .value();
  EXPECT_FALSE(access_of(o.export_rules, "10.2.0.1").allowed);
  const Access access = access_of(o.export_rules, "10.1.0.1");
  EXPECT_EQ(access.anonymous_uid, 99u);
  EXPECT_EQ(access.anonymous_gid, 98u);
}

TEST(AccessOptions, AnEmptyListOfExportsLetsNobodyIn) {
  EXPECT_TRUE(load("nfs: {exports: []}\n")->export_rules.empty());
}

TEST(AccessOptions, AWrongExportRuleNamesFileLineAndKey) {
  EXPECT_NE(error_of("nfs:\n  exports: ['10.1.0.0/16:rw']\n")
                .find("access.yaml:4: nfs.exports: found \"10.1.0.0/16:rw\""),
            std::string::npos)
      << error_of("nfs:\n  exports: ['10.1.0.0/16:rw']\n");
}

TEST(AccessOptions, ANameIsASiteAndAServer) {
  for (const char* bad : {"access-0", "/access-0", "a/", "a/b/c", "a/x y", "A/access-0"}) {
    EXPECT_NE(error_of("", {std::string("--name=") + bad}).find("wanted SITE/NAME"), std::string::npos)
        << bad;
  }
  EXPECT_NE(error_of("site: site-b\n").find("wanted \"site-a\""), std::string::npos);
  EXPECT_EQ(load("", {"--name=site-b/node_1.example"})->site, "site-b");
}

TEST(AccessOptions, EndpointsHaveAHostAndAPort) {
  for (const char* bad : {"host", ":7000", "host:", "host:x", "host:123456"}) {
    EXPECT_NE(error_of("", {std::string("--core.endpoints=") + bad}).find("wanted HOST:PORT"),
              std::string::npos)
        << bad;
  }
}

TEST(AccessOptions, ANetworkNameIsNoAddressToListenOn) {
  EXPECT_NE(error_of("nfs: {address: nfs.example}\n").find("wanted an IPv4 or IPv6 address"),
            std::string::npos);
}

TEST(AccessOptions, AMountHasAVolumeAndAnAbsolutePath) {
  AccessOptions o = load("", {"--mount=/mnt/vm", "--volume=vm", "--read_only", "--fuse.cache=none"}).value();
  EXPECT_EQ(o.mount, "/mnt/vm");
  EXPECT_EQ(o.volume, "vm");
  EXPECT_TRUE(o.read_only);
  EXPECT_FALSE(o.cache_pages);
  EXPECT_EQ(o.attribute_timeout_ms, 0u);  // no change of another client is missed unless asked for
  EXPECT_NE(error_of("", {"--mount=/mnt/vm"}).find("--volume NAME"), std::string::npos);
  EXPECT_NE(error_of("", {"--mount=mnt", "--volume=vm"}).find("absolute path"), std::string::npos);
}

TEST(AccessOptions, AMountForANodeNamesItsPublication) {
  const std::vector<std::string> mount = {"--mount=/mnt/vm", "--volume=vm"};
  const auto with = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), mount.begin(), mount.end());
    return flags;
  };
  AccessOptions o = load("", with({"--node=worker-1.example", "--publication=7"})).value();
  EXPECT_EQ(o.node, "worker-1.example");
  EXPECT_EQ(o.publication, 7u);
  EXPECT_EQ(load("", mount)->publication, 0u);
  EXPECT_NE(error_of("", with({"--node=worker-1"})).find("go together"), std::string::npos);
  EXPECT_NE(error_of("", with({"--publication=7"})).find("go together"), std::string::npos);
  for (const char* bad : {"--node=-x", "--node=a b", "--node=a/b"})
    EXPECT_NE(error_of("", with({bad, "--publication=7"})).find("letters, digits"), std::string::npos) << bad;
}

TEST(AccessOptions, WhatMeansNothingWithoutAMountIsRefused) {
  for (const char* flag : {"--volume=vm", "--node=n", "--publication=3", "--read_only", "--fuse.cache=none",
                           "--fuse.threads=2", "--fuse.attribute_timeout_ms=1s"}) {
    EXPECT_NE(error_of("", {flag}).find("--mount DIRECTORY"), std::string::npos) << flag;
  }
}

}  // namespace
}  // namespace shima
