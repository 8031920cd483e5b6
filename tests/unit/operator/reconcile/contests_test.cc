#include "operator/reconcile/contests.h"

#include <gtest/gtest.h>

#include <array>

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

json written_by(const std::vector<std::array<std::string, 3>>& managers) {
  json fields = json::array();
  for (const auto& [name, time, subresource] : managers) {
    fields.push_back({{"manager", name}, {"time", time}});
    if (!subresource.empty()) fields.back()["subresource"] = subresource;
  }
  return {{"metadata", {{"managedFields", fields}}}};
}

TEST(Contests, TheOtherWhoWroteLastIsNamed) {
  EXPECT_EQ(last_other_manager(written_by({{"kubectl-edit", "2026-01-01T00:00:02Z", ""},
                                           {"helm", "2026-01-01T00:00:01Z", ""},
                                           {"shima-operator", "2026-01-01T00:00:09Z", ""},
                                           {"shima", "2026-01-01T00:00:08Z", ""},
                                           {"kube-controller-manager", "2026-01-01T00:00:07Z", "status"}})),
            "kubectl-edit");
  EXPECT_EQ(last_other_manager(written_by({})), "");
  for (const char* odd : {"null", "{}", R"({"metadata":{"managedFields":7}})",
                          R"({"metadata":{"managedFields":[7,{"manager":7}]}})"})
    EXPECT_EQ(last_other_manager(json::parse(odd)), "") << odd;
}

TEST(Contests, LastUntilThereWasAQuietWhile) {
  ApplyLedger ledger;
  Contests contests;
  const json wanted{{"spec", 1}};
  ledger.applied("k", wanted, wanted, ApplyReason::kNew, 1'000);
  EXPECT_EQ(ledger.times_put_back("k", 1'000), 0u);
  ledger.applied("k", wanted, wanted, ApplyReason::kFoundChanged, 2'000);
  ledger.applied("k", wanted, wanted, ApplyReason::kFoundChanged, 4'000);
  EXPECT_EQ(ledger.times_put_back("k", 5'000), 2u);
  contests.note("k", "Service ns/one", written_by({{"helm", "2026-01-01T00:00:01Z", ""}}));
  const auto told = contests.told(ledger, 5'000);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].find("Service ns/one is changed again and again by \"helm\""), 0u) << told[0];
  EXPECT_TRUE(contests.told(ledger, 5'000 + ApplyLedger::kQuietMs + 60'000).empty());
}

}  // namespace
}  // namespace shima
