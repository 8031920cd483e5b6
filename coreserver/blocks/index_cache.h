// IndexCache: the most recently used decoded index entries, so that a 4 KiB read needs no look-up in RocksDB.
//
// Bounded by bytes, sharded by key. The caller keeps it in step with the index: it holds a block's stripe
// lock (shared to insert what it read, exclusive to change) while it calls. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "coreserver/blocks/index_entry.h"

namespace shima {

struct BlockKeyHash {
  size_t operator()(const BlockKey& key) const noexcept {
    uint64_t h = key.group.volume.value * 0x9e3779b97f4a7c15ull + key.group.index.value;
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ull + key.inode.value;
    h = (h ^ (h >> 32)) * 0x94d049bb133111ebull + key.block.value;
    h = (h ^ (h >> 31)) * 0x9e3779b97f4a7c15ull;
    return h ^ (h >> 32);
  }
};

using IndexEntryPtr = std::shared_ptr<const IndexEntry>;

class IndexCache {
 public:
  explicit IndexCache(uint64_t max_bytes) : max_shard_bytes_(max_bytes / kShards) {}

  IndexEntryPtr find(const BlockKey& key);  // null if it is not cached
  void put(const BlockKey& key, IndexEntryPtr entry);
  void erase(const BlockKey& key);

 private:
  static constexpr size_t kShards = 16;
  struct Item {
    BlockKey key;
    IndexEntryPtr entry;
  };
  struct Shard {
    std::mutex mutex;
    std::list<Item> items;  // most recently used first
    std::unordered_map<BlockKey, std::list<Item>::iterator, BlockKeyHash> by_key;
    uint64_t bytes = 0;
  };

  static uint64_t cost(const IndexEntry& entry) {
    return 200 + entry.chunk_count() * 4 + entry.chunk_count() / 8;
  }
  Shard& shard_of(const BlockKey& key) { return shards_[(BlockKeyHash()(key) >> 40) % kShards]; }
  static void remove(Shard& shard, std::list<Item>::iterator item);

  const uint64_t max_shard_bytes_;
  std::array<Shard, kShards> shards_;
};

}  // namespace shima
