#include "operator/reconcile/lost_nodes.h"

#include <gtest/gtest.h>

#include "tests/unit/operator/reconcile/fake_kubernetes.h"

namespace shima {
namespace {

using nlohmann::json;

void put_node(FakeKubernetes& kube, const std::string& name, bool tainted, const std::string& ready) {
  json node{{"metadata", {{"name", name}}},
            {"spec", json::object()},
            {"status", {{"conditions", json::array({{{"type", "Ready"}, {"status", ready}}})}}}};
  if (tainted) node["spec"]["taints"] = json::array({{{"key", "node.kubernetes.io/out-of-service"}}});
  kube.put(node_kind(), std::move(node));
}

TEST(LostNodes, HaveTheTaintAndAreNotReady) {
  const std::vector<NodeView> nodes{{.name = "lost", .ready = false, .out_of_service = true},
                                    {.name = "well", .ready = true, .out_of_service = true},
                                    {.name = "rebooting", .ready = false}};
  EXPECT_EQ(lost_nodes(nodes), std::vector<std::string>{"lost"});
}

TEST(LostNodes, AreAskedForByWhatIsThereNow) {
  FakeKubernetes kube;
  put_node(kube, "lost", true, "Unknown");
  put_node(kube, "off", true, "False");
  put_node(kube, "well", true, "True");
  put_node(kube, "rebooting", false, "False");
  EXPECT_TRUE(is_lost_now(kube, "lost"));
  EXPECT_TRUE(is_lost_now(kube, "off"));
  EXPECT_FALSE(is_lost_now(kube, "well"));
  EXPECT_FALSE(is_lost_now(kube, "rebooting"));
  EXPECT_FALSE(is_lost_now(kube, "gone"));
}

TEST(LostNodes, NoneIsWhileTheWatchOfNodesMayBeBehind) {
  FakeKubernetes kube;
  put_node(kube, "lost", true, "Unknown");
  kube.troubled["Node"] = Status(Code::kUnavailable, "connection refused");
  EXPECT_FALSE(is_lost_now(kube, "lost"));
}

TEST(LostNodes, AReadyNodeWithTheTaintIsToldIfItHasPublications) {
  const std::vector<NodeView> nodes{{.name = "idle", .ready = true, .out_of_service = true},
                                    {.name = "used", .ready = true, .out_of_service = true},
                                    {.name = "well", .ready = true}};
  const std::vector<VolumeView> volumes{{.name = "vm1", .publications = {{.node = "used"}, {.node = "well"}}},
                                        {.name = "vm2", .publications = {{.node = "used"}}}};
  const auto events = events_of_ready_nodes_with_taint(nodes, volumes);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].warning);
  EXPECT_NE(events[0].note.find("node used "), std::string::npos) << events[0].note;
}

}  // namespace
}  // namespace shima
