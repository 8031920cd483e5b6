#include <gtest/gtest.h>

#include <random>

#include "coreserver/jobs/job_writes.h"
#include "coreserver/jobs/kv_view.h"
#include "tests/unit/coreserver/jobs/memory_kv.h"

namespace shima {
namespace {

KvBatch sample() {
  return {{"key", "value"},
          {std::string("\0bin\xff", 5), std::string(70000, 'x')},
          {"gone", std::nullopt},
          {"e", ""}};
}

TEST(KvBatch, ComesBackAsItWas) {
  for (const KvBatch& batch : {KvBatch{}, sample()}) {
    Result<KvBatch> decoded = decode_kv_batch(encode_kv_batch(batch));
    ASSERT_TRUE(decoded.is_ok()) << decoded.status().to_string();
    EXPECT_EQ(*decoded, batch);
  }
}

TEST(KvBatch, FormatIsAsTheHeaderSays) {
  const std::string expected("\1\1\1\0\0\0k\2\0\0\0vw\0\1\0\0\0d", 19);
  EXPECT_EQ(encode_kv_batch({{"k", "vw"}, {"d", std::nullopt}}), expected);
}

TEST(KvBatch, EveryPrefixIsRefusedOrEndsBetweenChanges) {
  const std::string whole = encode_kv_batch({{"k", "vw"}, {"d", std::nullopt}});
  size_t good = 0;
  for (size_t length = 0; length < whole.size(); length++) {
    Result<KvBatch> decoded = decode_kv_batch(std::string_view(whole).substr(0, length));
    if (decoded.is_ok()) {
      good++;
    } else {
      EXPECT_EQ(decoded.status().code(), Code::kCorrupt);
    }
  }
  EXPECT_EQ(good, 2u);  // after the version, and after the first change
}

TEST(KvBatch, HostileBytesAreRefused) {
  const auto refused = [](std::string bytes) {
    return decode_kv_batch(bytes).status().code() == Code::kCorrupt;
  };
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused(std::string("\2", 1)));                              // version
  EXPECT_TRUE(refused(std::string("\1\2\1\0\0\0k", 7)));                   // kind
  EXPECT_TRUE(refused(std::string("\1\0\0\0\0\0", 6)));                    // empty key
  EXPECT_TRUE(refused(std::string("\1\0\xff\xff\xff\xff", 6) + "key"));    // length past the end
  EXPECT_TRUE(refused(std::string("\1\1\1\0\0\0k\xff\xff\xff\x7f", 11)));  // of the value
}

TEST(KvBatch, RandomBytesNeverCrashTheDecoder) {
  std::mt19937 random(42);
  const std::string whole = encode_kv_batch(sample());
  for (int round = 0; round < 2000; round++) {
    std::string bytes = whole.substr(0, 60);
    for (int i = 0; i < 3; i++) bytes[random() % bytes.size()] = static_cast<char>(random());
    Result<KvBatch> decoded = decode_kv_batch(bytes);
    if (decoded.is_ok()) {
      EXPECT_EQ(encode_kv_batch(*decoded), bytes);
    }
  }
}

TEST(JobWrites, AJobReadsItsOwnWrites) {
  MemoryKv kv;
  kv.apply({{"a", "old"}, {"b", "old"}});
  JobWrites writes(kv);
  writes.put("a", "new");
  writes.erase("b");
  EXPECT_EQ(writes.get("a"), "new");
  EXPECT_EQ(writes.get("b"), std::nullopt);
  EXPECT_EQ(writes.before().get("a"), "old");
  EXPECT_EQ(writes.batch(), (KvBatch{{"a", "new"}, {"b", std::nullopt}}));
}

TEST(JobWrites, TheBatchIsOrderedAndHasTheLastChangeOfAKey) {
  MemoryKv kv;
  JobWrites writes(kv);
  writes.put("z", "1");
  writes.erase("a");
  writes.put("a", "2");
  EXPECT_EQ(writes.batch(), (KvBatch{{"a", "2"}, {"z", "1"}}));
}

}  // namespace
}  // namespace shima
