#include "coreserver/jobs/inode_store.h"

#include "coreserver/jobs/jobs.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {

std::optional<StoredInode> InodeStore::load(uint64_t inode) {
  const std::optional<std::string> value = writes_.before().get(inode_key(inode));
  if (!value) return inode == kRootInode ? std::optional(initial_root()) : std::nullopt;
  std::optional<StoredInode> decoded = decode_inode(inode, *value);
  if (!decoded) rotten_ = true;
  return decoded;
}

StoredInode* InodeStore::find(uint64_t inode) {
  auto found = inodes_.find(inode);
  if (found == inodes_.end()) found = inodes_.emplace(inode, Loaded{.inode = load(inode)}).first;
  Loaded& loaded = found->second;
  return loaded.inode && !loaded.forgotten ? &*loaded.inode : nullptr;
}

StoredInode& InodeStore::add() {
  Counters& counted = counters();
  const uint64_t number = counted.next_inode++;
  counted.inodes++;
  Loaded& loaded = inodes_[number];
  loaded = {.inode = StoredInode{}, .changed = true};
  loaded.inode->attributes.set_inode(number);
  loaded.inode->attributes.set_generation(1);
  return *loaded.inode;
}

void InodeStore::changed(const StoredInode& inode) { inodes_.at(inode.attributes.inode()).changed = true; }

void InodeStore::forget(const StoredInode& inode) {
  Loaded& loaded = inodes_.at(inode.attributes.inode());
  loaded.changed = loaded.forgotten = true;
  counters().inodes--;
}

std::optional<StoredEntry> InodeStore::entry(uint64_t parent, std::string_view name) {
  const std::optional<std::string> value = writes_.get(entry_key(parent, name));
  if (!value) return std::nullopt;
  std::optional<StoredEntry> decoded = decode_entry(*value);
  if (!decoded) rotten_ = true;
  return decoded;
}

void InodeStore::put_entry(uint64_t parent, std::string_view name, const StoredEntry& entry) {
  writes_.put(entry_key(parent, name), encode_entry(entry));
  writes_.put(cookie_key(parent, entry.cookie), encode_cookie_entry(entry, name));
}

void InodeStore::erase_entry(uint64_t parent, std::string_view name, const StoredEntry& entry) {
  writes_.erase(entry_key(parent, name));
  writes_.erase(cookie_key(parent, entry.cookie));
}

Counters& InodeStore::counters() {
  if (!counters_) {
    counters_.emplace();
    if (const std::optional<std::string> value = writes_.before().get(counters_key())) {
      const std::optional<Counters> decoded = decode_counters(*value);
      if (decoded) counters_ = decoded;
      rotten_ |= !decoded;
    }
    counters_before_ = counters_;
  }
  return *counters_;
}

KvBatch InodeStore::batch() {
  for (const auto& [number, loaded] : inodes_) {
    if (!loaded.changed) continue;
    if (loaded.forgotten) {
      writes_.erase(inode_key(number));
    } else {
      writes_.put(inode_key(number), encode_inode(*loaded.inode));
    }
  }
  if (counters_ != counters_before_) writes_.put(counters_key(), encode_counters(*counters_));
  return writes_.batch();
}

}  // namespace shima
