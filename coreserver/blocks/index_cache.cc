#include "coreserver/blocks/index_cache.h"

namespace shima {

void IndexCache::remove(Shard& shard, std::list<Item>::iterator item) {
  shard.bytes -= cost(*item->entry);
  shard.by_key.erase(item->key);
  shard.items.erase(item);
}

IndexEntryPtr IndexCache::find(const BlockKey& key) {
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  auto found = shard.by_key.find(key);
  if (found == shard.by_key.end()) return nullptr;
  shard.items.splice(shard.items.begin(), shard.items, found->second);
  return found->second->entry;
}

void IndexCache::put(const BlockKey& key, IndexEntryPtr entry) {
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  if (auto found = shard.by_key.find(key); found != shard.by_key.end()) remove(shard, found->second);
  shard.bytes += cost(*entry);
  shard.items.push_front({key, std::move(entry)});
  shard.by_key[key] = shard.items.begin();
  while (shard.bytes > max_shard_bytes_ && !shard.items.empty()) remove(shard, std::prev(shard.items.end()));
}

void IndexCache::erase(const BlockKey& key) {
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  if (auto found = shard.by_key.find(key); found != shard.by_key.end()) remove(shard, found->second);
}

}  // namespace shima
