#include "operator/render/declared_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace shima {
namespace {

using Json = nlohmann::json;

Json option(const char* of, const std::string& name) {
  const Json all = declared_options();
  for (const Json& one : all[of])
    if (one["name"] == name) return one;
  return nullptr;
}

TEST(DeclaredOptions, HaveWhatValuesNeed) {
  EXPECT_EQ(option("coreServers", "limits.lag_budget_bytes")["type"], "bytes");
  EXPECT_EQ(option("coreServers", "limits.lag_budget_bytes")["default"], "10GiB");
  EXPECT_EQ(option("accessServers", "nfs.exports")["type"], "list");
  EXPECT_EQ(option("operator", "health-interval")["min"], 1000);
  EXPECT_EQ(option("operator", "log-level")["allowed"], Json::array({"error", "warning", "info", "debug"}));
  const Json all = declared_options();
  for (const auto& [of, options] : all.items())
    for (const Json& one : options) EXPECT_FALSE(one["help"].get<std::string>().empty()) << of << one["name"];
}

TEST(DeclaredOptions, LeaveOutWhatTheOperatorSets) {
  for (const char* name :
       {"name", "disks", "networks.wan.port", "control_port", "etcd.endpoints", "site_labels"})
    EXPECT_TRUE(option("coreServers", name).is_null()) << name;
  for (const char* name : {"mount", "fuse.cache", "nfs.port", "metrics.port"})
    EXPECT_TRUE(option("accessServers", name).is_null()) << name;
}

}  // namespace
}  // namespace shima
