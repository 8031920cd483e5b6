#include "operator/reconcile/node_fit.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using nlohmann::json;

const json kNoRules = json::object();

NodeView tainted(const std::string& key, const std::string& value, const std::string& effect) {
  return {.name = "n", .taints = {{key, value, effect}}};
}

bool fits(const NodeView& node, const json& toleration) {
  return misfit(node, {{"tolerations", json::array({toleration})}}).empty();
}

TEST(NodeFit, TheNodeHasEveryLabelOfTheSelector) {
  const json wanted = {{"nodeSelector", {{"disk", "nvme"}, {"zone", "a"}}}};
  EXPECT_EQ(misfit({.name = "n", .labels = {{"disk", "nvme"}, {"zone", "a"}, {"more", "x"}}}, wanted), "");
  EXPECT_EQ(misfit({.name = "n", .labels = {{"zone", "a"}}}, wanted),
            "it lacks the label disk=nvme; put it back");
  EXPECT_EQ(misfit({.name = "n", .labels = {{"disk", "hdd"}, {"zone", "a"}}}, wanted),
            "it lacks the label disk=nvme; put it back");
}

TEST(NodeFit, ACordonedNodeTakesOnlyWhatToleratesThat) {
  const NodeView node{.name = "n", .unschedulable = true};
  EXPECT_EQ(misfit(node, kNoRules), "it is cordoned; uncordon it");
  EXPECT_TRUE(fits(node, {{"operator", "Exists"}}));
  EXPECT_FALSE(fits(node, {{"key", "dedicated"}, {"operator", "Exists"}}));
}

TEST(NodeFit, TaintsOfTwoEffectsKeepAway) {
  EXPECT_EQ(misfit(tainted("dedicated", "gpu", "NoSchedule"), kNoRules),
            "it has the taint dedicated=gpu:NoSchedule; take it away, or tolerate it in "
            "spec.coreServers.tolerations");
  EXPECT_NE(misfit(tainted("k", "", "NoExecute"), kNoRules).find("taint k:NoExecute;"), std::string::npos);
  EXPECT_EQ(misfit(tainted("k", "v", "PreferNoSchedule"), kNoRules), "");
}

TEST(NodeFit, ATolerationIsOfKeyValueAndEffect) {
  const NodeView node = tainted("k", "v", "NoSchedule");
  EXPECT_TRUE(fits(node, {{"key", "k"}, {"value", "v"}, {"effect", "NoSchedule"}})) << "Equal is the default";
  EXPECT_TRUE(fits(node, {{"key", "k"}, {"operator", "Equal"}, {"value", "v"}})) << "without one: any effect";
  EXPECT_TRUE(fits(node, {{"key", "k"}, {"operator", "Exists"}, {"effect", "NoSchedule"}}));
  EXPECT_TRUE(fits(node, {{"operator", "Exists"}})) << "everything";
  EXPECT_FALSE(fits(node, {{"key", "k"}, {"value", "other"}}));
  EXPECT_FALSE(fits(node, {{"key", "k"}}));
  EXPECT_FALSE(fits(node, {{"key", "other"}, {"operator", "Exists"}}));
  EXPECT_FALSE(fits(node, {{"key", "k"}, {"operator", "Exists"}, {"effect", "NoExecute"}}));
  EXPECT_FALSE(fits(node, {{"key", "k"}, {"operator", "Gt"}, {"value", "v"}})) << "not known here";
}

TEST(NodeFit, EveryTaintCounts) {
  const NodeView node{.name = "n", .taints = {{"a", "", "NoSchedule"}, {"b", "", "NoSchedule"}}};
  const json one = {{"key", "a"}, {"operator", "Exists"}}, other = {{"key", "b"}, {"operator", "Exists"}};
  EXPECT_FALSE(fits(node, one));
  EXPECT_EQ(misfit(node, {{"tolerations", json::array({one, other})}}), "");
}

TEST(NodeFit, AVolumeIsUsableWhereOneOfItsTermsSaysSo) {
  const auto expression = [](const char* key, const char* how, json values) {
    return json{{"key", key}, {"operator", how}, {"values", std::move(values)}};
  };
  const auto volume = [](const json& terms) {
    return json{{"spec", {{"nodeAffinity", {{"required", {{"nodeSelectorTerms", terms}}}}}}}};
  };
  const json zone = expression("zone", "In", {"a", "b"}), host = expression("host", "In", {"n1"});
  const NodeView node{.name = "n2", .labels = {{"zone", "b"}, {"host", "n2"}}};
  EXPECT_TRUE(is_usable_on({{"spec", json::object()}}, node));
  EXPECT_TRUE(is_usable_on(volume({{{"matchExpressions", {zone}}}}), node));
  EXPECT_FALSE(is_usable_on(volume({{{"matchExpressions", {host}}}}), node));
  EXPECT_FALSE(is_usable_on(volume({{{"matchExpressions", {zone, host}}}}), node)) << "all of a term";
  EXPECT_TRUE(is_usable_on(volume({{{"matchExpressions", {host}}}, {{"matchExpressions", {zone}}}}), node));
  EXPECT_FALSE(is_usable_on(volume({{{"matchExpressions", {expression("zone", "NotIn", {"c"})}}}}), node));
  EXPECT_FALSE(is_usable_on(volume(json::array()), node));
}

}  // namespace
}  // namespace shima
