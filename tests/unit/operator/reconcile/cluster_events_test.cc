#include "operator/reconcile/cluster_events.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using nlohmann::json;

json status(std::initializer_list<std::pair<const char*, const char*>> conditions) {
  json list = json::array();
  for (const auto& [type, value] : conditions)
    list.push_back({{"type", type}, {"status", value}, {"message", std::string("about ") + type}});
  return {{"conditions", list}};
}

TEST(ClusterEvents, ANewClusterThatIsNotReadyYetIsNoNews) {
  EXPECT_TRUE(
      events_of_change(json(), status({{"Ready", "False"}, {"EtcdReady", "False"}, {"Upgrading", "False"}}))
          .empty());
}

TEST(ClusterEvents, WhatIsWrongFromTheBeginOnIsTold) {
  const auto events = events_of_change(json(), status({{"SpecAccepted", "False"}}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].warning);
  EXPECT_EQ(events[0].reason, "NotSpecAccepted");
  EXPECT_EQ(events[0].note, "about SpecAccepted");
}

TEST(ClusterEvents, AChangeIsToldOnce) {
  const json before = status({{"Ready", "False"}}), after = status({{"Ready", "True"}});
  ASSERT_EQ(events_of_change(before, after).size(), 1u);
  EXPECT_FALSE(events_of_change(before, after)[0].warning);
  EXPECT_TRUE(events_of_change(after, after).empty());
}

TEST(ClusterEvents, WhatIsNotKnownAnyMoreIsToldAsAWarning) {
  const auto events =
      events_of_change(status({{"VolumesHealthy", "True"}}), status({{"VolumesHealthy", "Unknown"}}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].warning);
  EXPECT_EQ(events[0].reason, "NotVolumesHealthy");
}

TEST(ClusterEvents, ABlockedDeletionIsToldAndItsEndIsNot) {
  const json free = status({{"DeletionIsBlocked", "False"}}),
             blocked = status({{"DeletionIsBlocked", "True"}});
  EXPECT_EQ(events_of_change(json(), blocked).size(), 1u);
  EXPECT_TRUE(events_of_change(blocked, free).empty());
}

TEST(ClusterEvents, AnEventIsAsTheApiWantsIt) {
  const json event = event_object(
      {"ns", "shima", "uid"}, {.warning = true, .reason = "R", .action = "A", .note = std::string(5000, 'x')},
      {.instance = std::string(300, 'i'), .time = "2026-01-02T03:04:05.000000Z"});
  EXPECT_EQ(event["apiVersion"], "events.k8s.io/v1");
  EXPECT_EQ(event["metadata"]["namespace"], "ns");
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_LE(event["note"].get<std::string>().size(), 1024u);
  EXPECT_LE(event["reportingInstance"].get<std::string>().size(), 128u);
  EXPECT_EQ(event["regarding"]["uid"], "uid");
}

TEST(EventLedger, TellsEachOnceAnHourAndNeverTooMany) {
  EventLedger ledger;
  const ClusterEvent event{.reason = "R", .note = "n"};
  EXPECT_TRUE(ledger.allow(event, 0));
  EXPECT_FALSE(ledger.allow(event, EventLedger::kRepeatMs - 1));
  EXPECT_TRUE(ledger.allow(event, EventLedger::kRepeatMs));
  size_t allowed = 0;
  for (int i = 0; i < 1000; ++i)
    allowed += ledger.allow({.reason = "R", .note = std::to_string(i)}, EventLedger::kRepeatMs) ? 1 : 0;
  EXPECT_EQ(allowed, EventLedger::kMaxInTime - 1);
}

}  // namespace
}  // namespace shima
