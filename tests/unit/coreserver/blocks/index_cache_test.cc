#include "coreserver/blocks/index_cache.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

BlockKey key(uint64_t n) { return {{VolumeId(1), GroupIndex(1)}, InodeId(1), BlockIndex(n)}; }

IndexEntryPtr entry(uint32_t slot) {
  IndexEntry e = IndexEntry::all_holes(1 << 20);
  e.slot.number = slot;
  return std::make_shared<const IndexEntry>(e);
}

TEST(IndexCache, ReturnsTheNewestEntry) {
  IndexCache cache(1 << 20);
  EXPECT_EQ(cache.find(key(1)), nullptr);
  cache.put(key(1), entry(1));
  cache.put(key(1), entry(2));
  ASSERT_NE(cache.find(key(1)), nullptr);
  EXPECT_EQ(cache.find(key(1))->slot.number, 2u);
  cache.erase(key(1));
  EXPECT_EQ(cache.find(key(1)), nullptr);
}

TEST(IndexCache, StaysWithinItsBound) {
  IndexCache cache(1 << 20);
  for (uint32_t i = 0; i < 10000; i++) cache.put(key(i), entry(i));
  int cached = 0;
  for (uint32_t i = 0; i < 10000; i++) cached += cache.find(key(i)) != nullptr;
  EXPECT_GT(cached, 500);
  EXPECT_LT(cached, 1000);
  EXPECT_NE(cache.find(key(9999)), nullptr);
}

}  // namespace
}  // namespace shima
