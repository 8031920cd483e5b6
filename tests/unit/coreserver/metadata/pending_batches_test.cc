#include "coreserver/metadata/pending_batches.h"

#include "tests/unit/coreserver/metadata/test_batches.h"

namespace shima {
namespace {

using Listing = std::vector<std::pair<std::string, std::string>>;

Listing listing(const KvView& view, std::string_view prefix, std::string_view from,
                size_t at_most = SIZE_MAX) {
  Listing found;
  if (at_most == 0) return found;
  view.scan(prefix, from, [&](std::string_view key, std::string_view value) {
    found.emplace_back(key, value);
    return found.size() < at_most;
  });
  return found;
}

Listing listing(const ModelKv& kv, std::string_view prefix, std::string_view from,
                size_t at_most = SIZE_MAX) {
  Listing found;
  for (const auto& [key, value] : kv) {
    if (found.size() < at_most && key >= from && key.starts_with(prefix)) found.emplace_back(key, value);
  }
  return found;
}

TEST(PendingBatches, AreLaidOverTheStoreUpToTheRecordThatIsAsked) {
  TestStore store;
  const std::vector<RecordPtr> stored{make_batch(1, {{"a", "stored"}, {"b", "stored"}, {"d", "stored"}})};
  ASSERT_TRUE(store.kv().apply(kTestGroup, stored).is_ok());
  PendingBatches pending;
  pending.add(make_batch(2, {{"a", "two"}, {"c", "two"}}));
  pending.add(make_noop(3));
  pending.add(make_batch(4, {{"a", std::nullopt}, {"b", "four"}, {"b", "five"}, {"e", "four"}}));
  auto at = [&](uint64_t upto) { return pending.view(store.kv(), kTestGroup, Sequence(upto)); };
  EXPECT_EQ(listing(*at(1), "", ""), (Listing{{"a", "stored"}, {"b", "stored"}, {"d", "stored"}}));
  EXPECT_EQ(listing(*at(3), "", ""), (Listing{{"a", "two"}, {"b", "stored"}, {"c", "two"}, {"d", "stored"}}));
  EXPECT_EQ(listing(*at(4), "", ""), (Listing{{"b", "five"}, {"c", "two"}, {"d", "stored"}, {"e", "four"}}));
  EXPECT_EQ(listing(*at(4), "", "c", 2), (Listing{{"c", "two"}, {"d", "stored"}}));
  EXPECT_EQ(at(4)->get("a"), std::nullopt);
  EXPECT_EQ(at(3)->get("a"), "two");
  EXPECT_EQ(at(4)->get("d"), "stored");
  EXPECT_TRUE(at(4)->status().is_ok());
}

TEST(PendingBatches, ForgetFromBothEndsAndCountBytes) {
  PendingBatches pending;
  for (uint64_t s = 1; s <= 4; s++) pending.add(make_batch(s, {{"key", "value"}}));
  const uint64_t full = pending.bytes();
  pending.applied(Sequence(1));
  pending.truncate(Sequence(3));
  EXPECT_EQ(pending.bytes(), full / 2);
  EXPECT_EQ(pending.first(), Sequence(2));
  auto next = pending.next_to_apply(Sequence(1), Sequence(9), 1 << 20);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next.back()->header.position.sequence, Sequence(3));
  EXPECT_EQ(pending.next_to_apply(Sequence(1), Sequence(9), 1).size(), 1u) << "at least one";
  pending.clear();
  EXPECT_TRUE(pending.empty());
  EXPECT_EQ(pending.bytes(), 0u);
  EXPECT_TRUE(pending.next_to_apply(Sequence(0), Sequence(9), 1).empty());
}

TEST(PendingBatches, AViewThatReachesToAPayloadThatIsNoBatchSaysSo) {
  TestStore store;
  PendingBatches pending;
  pending.add(make_batch(1, {{"a", "1"}}));
  pending.add(make_record_of("no batch at all", 2));
  auto before = pending.view(store.kv(), kTestGroup, Sequence(1));
  EXPECT_EQ(before->get("a"), "1");
  EXPECT_TRUE(before->status().is_ok());
  auto behind = pending.view(store.kv(), kTestGroup, Sequence(2));
  EXPECT_EQ(behind->status().code(), Code::kCorrupt);
  EXPECT_EQ(behind->get("a"), std::nullopt);
  EXPECT_TRUE(listing(*behind, "", "").empty());
  pending.truncate(Sequence(1));
  EXPECT_TRUE(pending.view(store.kv(), kTestGroup, Sequence(2))->status().is_ok());
}

// Against a model: batches come, are applied some time before they are known to be, are truncated.
TEST(PendingBatches, AreWhatTheModelSays) {
  for (uint64_t seed = 1; seed <= 4; seed++) {
    TestStore store;
    PendingBatches pending;
    std::mt19937_64 random(seed);
    std::vector<ModelKv> states{{}};  // after each record
    std::vector<RecordPtr> log{nullptr};
    uint64_t stored = 0, forgotten = 0, salt = seed;
    for (int step = 0; step < 250; step++) {
      const uint64_t last = states.size() - 1;
      const uint64_t dice = random() % 12;
      if (dice < 6) {
        const KvBatch batch = random_batch(salt, last + 1);
        states.push_back(states.back());
        change(states.back(), batch);
        log.push_back(make_batch(last + 1, batch));
        pending.add(log.back());
      } else if (dice < 8 && stored < last) {
        stored += 1 + random() % (last - stored);
        auto records = pending.next_to_apply(Sequence(forgotten), Sequence(stored), 1 << 20);
        ASSERT_EQ(records.size(), stored - forgotten);
        ASSERT_TRUE(store.kv().apply(kTestGroup, records).is_ok());
      } else if (dice < 10) {
        forgotten = stored;
        pending.applied(Sequence(forgotten));
      } else if (dice == 10 && stored < last) {
        const uint64_t after = stored + random() % (last - stored);
        pending.truncate(Sequence(after));
        states.resize(after + 1);
        log.resize(after + 1);
        salt += 100;
      }
      const uint64_t upto = stored + random() % (states.size() - stored);
      const ModelKv& model = states[upto];
      auto view = pending.view(store.kv(), kTestGroup, Sequence(upto));
      const std::string prefix = random() % 2 ? "" : random_key(random), from = random_key(random);
      const size_t at_most = 1 + random() % 8;
      ASSERT_EQ(listing(*view, prefix, ""), listing(model, prefix, ""))
          << "seed " << seed << " step " << step;
      ASSERT_EQ(listing(*view, prefix, from, at_most), listing(model, prefix, from, at_most));
      for (int n = 0; n < 3; n++) {
        const std::string key = random_key(random);
        const auto it = model.find(key);
        ASSERT_EQ(view->get(key), it == model.end() ? std::nullopt : std::optional(it->second));
      }
      ASSERT_TRUE(view->status().is_ok());
      ASSERT_EQ(pending.empty(), forgotten + 1 == states.size());
    }
  }
}

}  // namespace
}  // namespace shima
