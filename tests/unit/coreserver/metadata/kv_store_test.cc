#include "coreserver/metadata/kv_store.h"

#include "common/types/byte_order.h"
#include "tests/unit/coreserver/metadata/test_batches.h"

namespace shima {
namespace {

constexpr GroupId kOther{VolumeId(5), GroupIndex(9)};

class Kv : public testing::Test {
 protected:
  Status apply(const std::vector<RecordPtr>& records, GroupId group = kTestGroup) {
    return store_.kv().apply(group, records);
  }
  std::vector<std::string> keys(std::string_view prefix, std::string_view from, size_t at_most = 100) {
    std::vector<std::string> found;
    const Status status =
        store_.kv().scan(kTestGroup, prefix, from, [&](std::string_view key, std::string_view) {
          found.emplace_back(key);
          return found.size() < at_most;
        });
    EXPECT_TRUE(status.is_ok()) << status.to_string();
    return found;
  }

  void expect_scans(const std::string& long_a, const std::string& long_b) {
    EXPECT_EQ(keys("", "").size(), 8u);
    EXPECT_EQ(keys("e", ""), (std::vector<std::string>{long_a, long_a + "x", long_a + "y", long_b + "x"}));
    EXPECT_EQ(keys(long_a, ""), (std::vector<std::string>{long_a, long_a + "x", long_a + "y"}));
    EXPECT_EQ(keys(long_a, long_a + "y"), (std::vector<std::string>{long_a + "y"}));
    EXPECT_EQ(keys(long_a, long_a + "xx"), (std::vector<std::string>{long_a + "y"}));
    EXPECT_TRUE(keys(long_a, "f").empty()) << "behind them all";
    EXPECT_EQ(keys(long_a, "a").size(), 3u) << "before them all";
    EXPECT_TRUE(keys("e" + std::string(8, 'C'), "").empty());
    EXPECT_EQ(keys("\xff", "\xff\xff"), (std::vector<std::string>{"\xff\xff\xff"}));
    EXPECT_EQ(keys("e", "", 2).size(), 2u);
  }

  TestStore store_;
};

TEST_F(Kv, BatchesOfOneApplyCountInTheirOrder) {
  ASSERT_TRUE(apply({make_batch(1, {{"a", "1"}, {"b", "1"}, {"a", "2"}}), make_noop(2),
                     make_batch(3, {{"b", std::nullopt}, {"c", ""}})}));
  EXPECT_EQ(store_.contents(), (ModelKv{{"a", "2"}, {"c", ""}}));
  EXPECT_EQ(**store_.kv().get(kTestGroup, "c"), "");
  EXPECT_FALSE(store_.kv().get(kTestGroup, "b")->has_value());
  EXPECT_FALSE(store_.kv().get(kTestGroup, "")->has_value()) << "the usage is no key";
  EXPECT_EQ(*store_.kv().usage(kTestGroup), (KvUsage{2, 3}));
  ASSERT_TRUE(apply({make_noop(4)}));
}

TEST_F(Kv, GroupsDoNotSeeEachOther) {
  ASSERT_TRUE(apply({make_batch(1, {{"a", "mine"}})}));
  ASSERT_TRUE(apply({make_batch(1, {{"a", "yours"}, {"b", ""}}, kOther)}, kOther));
  EXPECT_EQ(store_.contents(), (ModelKv{{"a", "mine"}}));
  ASSERT_TRUE(store_.kv().delete_group(kTestGroup).is_ok());
  EXPECT_TRUE(store_.contents().empty());
  EXPECT_EQ(*store_.kv().usage(kTestGroup), KvUsage());
  EXPECT_EQ(store_.contents(kOther).size(), 2u);
  ASSERT_TRUE(apply({make_batch(2, {{"a", "new"}})}));
  EXPECT_EQ(store_.contents(), (ModelKv{{"a", "new"}}));
  EXPECT_EQ(*store_.kv().usage(kTestGroup), (KvUsage{1, 4}));
}

TEST_F(Kv, ScansKeepToTheirPrefixAndBegin) {
  const std::string long_a = "e" + std::string(8, 'A'), long_b = "e" + std::string(8, 'B');
  ASSERT_TRUE(apply({make_batch(1, {{"d", ""},
                                    {long_a + "x", ""},
                                    {long_a + "y", ""},
                                    {long_a, ""},
                                    {long_b + "x", ""},
                                    {"f", ""},
                                    {"\xff", ""},
                                    {"\xff\xff\xff", ""}})}));
  for (int life = 0; life < 2; life++, store_.open()) {  // in memory, then in files with filters
    expect_scans(long_a, long_b);
  }
}

TEST_F(Kv, ADeletedGroupStaysDeletedInFilesWithFilters) {
  const std::string prefix = "e" + std::string(8, 'A');
  ASSERT_TRUE(apply({make_batch(1, {{prefix + "x", "old"}, {prefix + "y", "old"}})}));
  store_.open();
  ASSERT_TRUE(store_.kv().delete_group(kTestGroup).is_ok());
  for (int life = 0; life < 2; life++, store_.open()) {
    EXPECT_TRUE(keys(prefix, "").empty());
    EXPECT_TRUE(keys("", "").empty());
    EXPECT_FALSE(store_.kv().get(kTestGroup, prefix + "x")->has_value());
  }
  ASSERT_TRUE(apply({make_batch(2, {{prefix + "y", "new"}})}));
  EXPECT_EQ(keys(prefix, ""), (std::vector<std::string>{prefix + "y"}));
  EXPECT_EQ(*store_.kv().usage(kTestGroup), (KvUsage{1, prefix.size() + 4}));
}

TEST_F(Kv, WhatIsNoBatchOfTheGroupIsRefusedAndChangesNothing) {
  const RecordPtr good = make_batch(1, {{"a", "1"}});
  auto spoiled = [&](auto&& spoil) {
    auto record = std::make_shared<Record>(*good);
    spoil(*record);
    return apply({good, record}).code();
  };
  EXPECT_EQ(spoiled([](Record& r) { r.header.group = kOther; }), Code::kInvalidArgument);
  EXPECT_EQ(spoiled([](Record& r) { r.header.kind = RecordKind::kWrite; }), Code::kInvalidArgument);
  EXPECT_EQ(spoiled([](Record& r) { r.header.checksums[0]++; }), Code::kCorrupt);
  EXPECT_EQ(spoiled([](Record& r) { r.header.checksums.clear(); }), Code::kCorrupt);
  EXPECT_EQ(spoiled([](Record& r) { r.header.length++; }), Code::kCorrupt);
  const std::string bytes = encode_kv_batch({{"key", "value"}, {"gone", std::nullopt}});
  for (size_t n = 0; n < bytes.size(); n++) {
    const size_t whole = 1 + 1 + 4 + 3 + 4 + 5;  // the version alone, or the first change, are batches
    if (n == 1 || n == whole) continue;
    EXPECT_EQ(apply({good, make_record_of(bytes.substr(0, n), 2)}).code(), Code::kCorrupt) << n;
  }
  std::string empty_key("\1\1", 2);
  append_little_endian<uint32_t>(empty_key, 0);
  append_little_endian<uint32_t>(empty_key, 0);
  EXPECT_EQ(apply({good, make_record_of(empty_key, 2)}).code(), Code::kCorrupt);
  std::string huge("\1\1", 2);
  append_little_endian<uint32_t>(huge, UINT32_MAX);
  EXPECT_EQ(apply({good, make_record_of(huge, 2)}).code(), Code::kCorrupt);
  EXPECT_TRUE(store_.contents().empty());
}

TEST_F(Kv, IsWhatTheModelSaysAfterRandomBatchesAndHowManyBytesItHas) {
  ModelKv model;
  uint64_t sequence = 0;
  for (int round = 0; round < 60; round++) {
    std::vector<RecordPtr> records;
    for (int n = 0; n < 5; n++) {
      const KvBatch batch = random_batch(1, ++sequence);
      change(model, batch);
      records.push_back(make_batch(sequence, batch));
    }
    ASSERT_TRUE(apply(records));
    if (round % 20 == 19) store_.open();
    ASSERT_EQ(store_.contents(), model);
    ASSERT_EQ(*store_.kv().usage(kTestGroup), usage_of(model));
  }
  EXPECT_GT(model.size(), 5u);
}

TEST_F(Kv, ACopyInBatchesIsWhole) {
  for (uint64_t n = 1; n <= 40; n++) ASSERT_TRUE(apply({make_batch(n, random_batch(2, n))}));
  ASSERT_TRUE(apply({make_batch(41, {{"big", std::string(500, 'b')}, {"last", "x"}})}));
  for (uint64_t max_bytes : {0, 100, 1 << 20}) {
    std::string after;
    uint64_t sequence = 0;
    for (;;) {
      auto batch = store_.kv().read_batch(kTestGroup, after, max_bytes);
      ASSERT_TRUE(batch.is_ok()) << batch.status().to_string();
      if (batch->first.empty()) break;
      after = batch->second;
      ASSERT_TRUE(apply({make_record_of(batch->first, ++sequence, kOther)}, kOther));
    }
    EXPECT_EQ(store_.contents(kOther), store_.contents());
    EXPECT_EQ(sequence, max_bytes == 0 ? store_.contents().size() : max_bytes == 100 ? sequence : 1u);
    EXPECT_GE(sequence, 1u);
    ASSERT_TRUE(store_.kv().delete_group(kOther).is_ok());
  }
  auto nothing = store_.kv().read_batch(kOther, "", 100);
  ASSERT_TRUE(nothing.is_ok());
  EXPECT_TRUE(nothing->first.empty() && nothing->second.empty());
}

}  // namespace
}  // namespace shima
