#include "operator/rollout/next_drain.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

CordonedNode node(const std::string& site, int number, std::vector<std::string> volumes = {}) {
  const std::string digit = std::to_string(number);
  return {.name = site + digit,
          .site = site,
          .servers = {site + "/core-" + digit},
          .volumes = std::move(volumes),
          .volumes_known = true};
}

TEST(NextDrain, NothingIsOpenAtRest) {
  const DrainStep step = next_drain({}, "", "", true);
  EXPECT_EQ(step.open_site, "");
  EXPECT_TRUE(step.told.empty());
}

TEST(NextDrain, ANodeThatVolumesHaveLeftOpensItsSite) {
  const DrainStep step = next_drain({node("a", 0)}, "", "", true);
  EXPECT_EQ(step.open_site, "a");
  EXPECT_EQ(step.told, std::vector<std::string>{"node a0 is cordoned: a/core-0 may be evicted"});
}

TEST(NextDrain, WaitsForTheVolumesAndNamesThem) {
  const DrainStep step = next_drain({node("a", 0, {"vm1", "vm2"}), node("b", 0, {"vm3"})}, "", "", true);
  EXPECT_EQ(step.open_site, "");
  EXPECT_EQ(step.told,
            (std::vector<std::string>{
                "node a0 is cordoned: waiting until volumes vm1, vm2 are no longer published there",
                "node b0 is cordoned: waiting until volume vm3 is no longer published there"}));
}

TEST(NextDrain, WaitsWhileNobodySaysWhatIsPublished) {
  CordonedNode unknown = node("a", 0);
  unknown.volumes_known = false;
  EXPECT_EQ(next_drain({unknown}, "", "a", true).open_site, "") << "also if it was open";
}

// All nodes of a pool are cordoned, and then drained one after another.
TEST(NextDrain, ANodeThatHasBeenLeftDoesNotWaitForOthersThatAreCordoned) {
  EXPECT_EQ(next_drain({node("a", 0, {"vm1"}), node("a", 1)}, "", "", true).open_site, "a");
  EXPECT_EQ(next_drain({node("a", 0, {"vm1"}), node("b", 1)}, "", "", true).open_site, "b");
}

TEST(NextDrain, IsShutWhileAnUpgradeWouldWait) {
  const DrainStep step = next_drain({node("a", 0)}, "waiting until b/core-1 is ready", "a", true);
  EXPECT_EQ(step.open_site, "");
  EXPECT_EQ(step.told.front(), "node a0 is cordoned: waiting until b/core-1 is ready");
}

// The budget cannot tell one node's server from another's.
TEST(NextDrain, ASiteWhoseDisksAnAutoscalerWouldDeleteStaysShut) {
  CordonedNode doomed = node("a", 0);
  doomed.takes_disks_along = true;
  for (const char* open : {"", "a"}) {
    const DrainStep step = next_drain({doomed, node("a", 1)}, "", open, true);
    EXPECT_EQ(step.open_site, "");
    EXPECT_EQ(step.told, (std::vector<std::string>{
                             "an autoscaler wants to delete node a0, which holds the disks of a/core-0: they "
                             "may not be evicted; exclude nodes with core servers from scale-down "
                             "(docs/howto/kubernetes.md)",
                             "node a1 is cordoned: a/core-1 waits until no autoscaler wants to delete node "
                             "a0"}));
    EXPECT_EQ(step.holds_restarts, step.told[1]) << "somebody drains this one";
  }
  EXPECT_EQ(next_drain({doomed}, "", "", true).holds_restarts, "") << "it may be marked for ever";
  EXPECT_EQ(next_drain({doomed, node("b", 0)}, "", "", true).open_site, "b") << "others go on";
}

TEST(NextDrain, OneSiteIsOpenAtATimeAndStaysSo) {
  const std::vector<CordonedNode> both{node("a", 0), node("b", 0)};
  EXPECT_EQ(next_drain(both, "", "b", false).open_site, "b");
  EXPECT_EQ(next_drain(both, "", "", true).open_site, "a");
  EXPECT_EQ(next_drain({node("a", 0)}, "", "b", false).open_site, "") << "first b has to be shut for a while";
}

}  // namespace
}  // namespace shima
