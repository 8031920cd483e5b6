#include "operator/reconcile/apply_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

json service(int port) {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", {{"name", "one"}, {"namespace", "ns"}}},
          {"spec", {{"port", port}}}};
}

// As the API server has it: with defaults, a version and a status.
json on_server(int port, int version) {
  json object = service(port);
  object["spec"]["protocol"] = "TCP";
  object["metadata"]["uid"] = "u1";
  object["metadata"]["resourceVersion"] = std::to_string(version);
  object["status"] = {{"observed", version}};
  return object;
}

class ApplyLedgerTest : public testing::Test {
 protected:
  ApplyReason due(const json& wanted, const json* found, uint64_t now_ms, bool watched = true) {
    return ledger_.due("k", wanted, found, watched, now_ms);
  }
  ApplyLedger ledger_;
};

TEST_F(ApplyLedgerTest, WhatIsNewIsApplied) { EXPECT_EQ(due(service(1), nullptr, 0), ApplyReason::kNew); }

TEST_F(ApplyLedgerTest, NothingIsDoneWhileNothingChangesButStatusAndVersion) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json found = on_server(1, 9);
  EXPECT_EQ(due(service(1), &found, 2000), ApplyReason::kNothing);
}

TEST_F(ApplyLedgerTest, WhatIsWantedOtherwiseIsApplied) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json found = on_server(1, 5);
  EXPECT_EQ(due(service(2), &found, 1001), ApplyReason::kWantedChanged);
}

TEST_F(ApplyLedgerTest, WhatSomeoneElseChangedIsPutBack) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json found = on_server(7, 6);
  EXPECT_EQ(due(service(1), &found, 1001), ApplyReason::kFoundChanged);
}

TEST_F(ApplyLedgerTest, AChangedLabelCountsAsMuchAsAChangedSpec) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  json found = on_server(1, 6);
  found["metadata"]["labels"] = {{"a", "b"}};
  EXPECT_EQ(due(service(1), &found, 1001), ApplyReason::kFoundChanged);
}

TEST_F(ApplyLedgerTest, AWatchThatIsBehindTheAnswerDoesNotCount) {
  ledger_.applied("k", service(2), on_server(2, 5), ApplyReason::kNew, 1000);
  const json before = on_server(1, 4);
  EXPECT_EQ(due(service(2), &before, 1001), ApplyReason::kNothing);
  EXPECT_EQ(due(service(2), nullptr, 1001), ApplyReason::kNothing);
}

TEST_F(ApplyLedgerTest, AnObjectThatWasSeenAndIsNotThereIsMadeAgainAtOnce) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json found = on_server(1, 5);
  EXPECT_EQ(due(service(1), &found, 1001), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), nullptr, 1002), ApplyReason::kGone);
}

TEST_F(ApplyLedgerTest, AnObjectThatWasNeverSeenIsMadeAgainAfterAWhile) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  EXPECT_EQ(due(service(1), nullptr, 1000 + ApplyLedger::kUnseenMs), ApplyReason::kGone);
}

TEST_F(ApplyLedgerTest, WhatIsNotWatchedIsRenewedNowAndThen) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  EXPECT_EQ(due(service(1), nullptr, 1000 + ApplyLedger::kRenewMs / 2 - 1, false), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), nullptr, 1000 + 2 * ApplyLedger::kRenewMs, false), ApplyReason::kRenewal);
}

TEST_F(ApplyLedgerTest, WhatAWatchShowsAsItWasAppliedIsNeverRenewed) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json found = on_server(1, 5);
  for (uint64_t now = 2000; now < 5 * ApplyLedger::kRenewMs; now += 60'000)
    EXPECT_EQ(due(service(1), &found, now), ApplyReason::kNothing) << now;
}

// As by `kubectl apply --server-side --force-conflicts` of the same content: then it owns our fields alone.
TEST_F(ApplyLedgerTest, WhatWasWrittenWithTheSameContentIsRenewedOnce) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json written = on_server(1, 6);
  EXPECT_EQ(due(service(1), &written, 1000 + ApplyLedger::kRenewMs / 2 - 1), ApplyReason::kNothing);
  const uint64_t later = 1000 + 2 * ApplyLedger::kRenewMs;
  EXPECT_EQ(due(service(1), &written, later), ApplyReason::kRenewal);
  ledger_.applied("k", service(1), on_server(1, 7), ApplyReason::kRenewal, later);
  const json renewed = on_server(1, 7);
  EXPECT_EQ(due(service(1), &renewed, later + 5 * ApplyLedger::kRenewMs), ApplyReason::kNothing);
}

TEST_F(ApplyLedgerTest, AWatchThatIsNotWellForAMomentRenewsNothing) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  const json found = on_server(1, 5);
  const uint64_t later = 10 * ApplyLedger::kRenewMs;
  EXPECT_EQ(due(service(1), &found, later), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), &found, later + 60'000, false), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), &found, later + 2 * ApplyLedger::kRenewMs, false), ApplyReason::kRenewal);
}

TEST_F(ApplyLedgerTest, RenewalsOfManyObjectsAreSpreadOut) {
  constexpr int kObjects = 600;
  constexpr uint64_t kLookMs = 30'000;
  const auto key = [](int i) { return "v1/PersistentVolume|node-" + std::to_string(i); };
  for (int i = 0; i < kObjects; ++i)
    ledger_.applied(key(i), service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  int all = 0, most = 0;
  for (uint64_t now = 1000; now < 1000 + 4 * ApplyLedger::kRenewMs; now += kLookMs) {
    int in_a_look = 0;
    for (int i = 0; i < kObjects; ++i) {
      if (ledger_.due(key(i), service(1), nullptr, /*watched=*/false, now) != ApplyReason::kRenewal) continue;
      ledger_.applied(key(i), service(1), on_server(1, 5), ApplyReason::kRenewal, now);
      ++in_a_look;
    }
    all += in_a_look;
    most = std::max(most, in_a_look);
  }
  EXPECT_GE(all, 3 * kObjects) << "each once in kRenewMs";
  EXPECT_LE(all, 4 * kObjects);
  EXPECT_LT(most, kObjects / 10) << "a twentieth is due in a look";
}

TEST_F(ApplyLedgerTest, ARefusalIsRememberedAndTriedAgainLaterAndLater) {
  ledger_.refused("k", service(1), "forbidden", 1000);
  EXPECT_EQ(ledger_.error_of("k"), "forbidden");
  EXPECT_EQ(ledger_.next_retry_ms(), 2000u);
  EXPECT_EQ(due(service(1), nullptr, 1999), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), nullptr, 2000), ApplyReason::kRetry);
  ledger_.refused("k", service(1), "forbidden", 2000);
  EXPECT_EQ(due(service(1), nullptr, 3999), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), nullptr, 4000), ApplyReason::kRetry);
  EXPECT_EQ(due(service(2), nullptr, 2001), ApplyReason::kWantedChanged) << "another object may be taken";
}

// Someone else changes the object again and again, one second after it was put back.
TEST_F(ApplyLedgerTest, WhatIsChangedAgainAndAgainIsPutBackLaterAndLater) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 1000);
  uint64_t now = 1000;
  std::vector<uint64_t> pauses;
  for (int version = 6; version < 30; version += 2) {
    const json found = on_server(7, version);
    const uint64_t changed = ++now;
    while (due(service(1), &found, now) == ApplyReason::kNothing) {
      ASSERT_GT(ledger_.next_retry_ms(), now) << "it is looked at again when the pause ends";
      now = ledger_.next_retry_ms();
    }
    pauses.push_back(now - changed);
    ledger_.applied("k", service(1), on_server(1, version + 1), ApplyReason::kFoundChanged, now);
    EXPECT_EQ(ledger_.next_retry_ms(), 0u);
  }
  EXPECT_EQ(pauses[0], 0u) << "the first time at once";
  EXPECT_EQ(pauses[1], 999u);
  EXPECT_EQ(pauses[2], 1999u);
  EXPECT_EQ(pauses.back(), 299'999u);
}

TEST_F(ApplyLedgerTest, AQuietWhileEndsThePauses) {
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kFoundChanged, 1000);
  ledger_.applied("k", service(1), on_server(1, 6), ApplyReason::kFoundChanged, 3000);
  const json quiet = on_server(1, 6);
  EXPECT_EQ(due(service(1), &quiet, 3001), ApplyReason::kNothing);
  ledger_.applied("k", service(1), on_server(1, 6), ApplyReason::kRenewal, 3000 + ApplyLedger::kRenewMs);
  const uint64_t later = 3000 + 2'000 + ApplyLedger::kQuietMs;
  ledger_.applied("k", service(1), on_server(1, 6), ApplyReason::kRenewal, later);
  const json found = on_server(7, 8);
  EXPECT_EQ(due(service(1), &found, later + 1), ApplyReason::kFoundChanged);
  ledger_.applied("k", service(1), on_server(1, 9), ApplyReason::kFoundChanged, later + 1);
  const json again = on_server(7, 10);
  EXPECT_EQ(due(service(1), &again, later + 1000), ApplyReason::kNothing);
  EXPECT_EQ(due(service(1), &again, later + 1001), ApplyReason::kFoundChanged) << "the shortest pause again";
}

TEST_F(ApplyLedgerTest, ASuccessEndsTheError) {
  ledger_.refused("k", service(1), "forbidden", 1000);
  ledger_.applied("k", service(1), on_server(1, 5), ApplyReason::kNew, 2000);
  EXPECT_EQ(ledger_.error_of("k"), "");
  EXPECT_EQ(ledger_.next_retry_ms(), 0u);
}

TEST(WrittenHash, IsTheSameForTheSameContentInAnyOrderAndDiffersOtherwise) {
  const json a = json::parse(R"({"metadata":{"name":"x","resourceVersion":"1"},"spec":{"p":1,"q":[1,2]}})");
  const json b =
      json::parse(R"({"spec":{"q":[1,2],"p":1},"status":{},"metadata":{"resourceVersion":"2","name":"x"}})");
  const json c = json::parse(R"({"spec":{"q":[2,1],"p":1},"metadata":{"name":"x"}})");
  EXPECT_EQ(written_hash(a), written_hash(b));
  EXPECT_NE(written_hash(a), written_hash(c));
}

TEST(ObjectFields, WhatIsMissingOrOfAnotherTypeIsEmpty) {
  const json odd =
      json::parse(R"({"metadata":[1],"spec":{"replicas":"many"},"status":{"conditions":{"a":1}}})");
  EXPECT_EQ(name_of(odd), "");
  EXPECT_EQ(label_of(odd, "x"), "");
  EXPECT_EQ(number_at(odd, "/spec/replicas", 7), 7);
  EXPECT_FALSE(has_true_condition(odd, "Ready"));
  EXPECT_FALSE(is_owned_by(odd, "u"));
  EXPECT_FALSE(is_ending(odd));
  EXPECT_EQ(version_of(odd), 0u);
  EXPECT_EQ(value_at(json(3), "/a"), nullptr);
}

}  // namespace
}  // namespace shima
