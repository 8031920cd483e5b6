#include "coreserver/blocks/block_store.h"

#include <rocksdb/db.h>

#include "coreserver/blocks/present_read.h"
#include "coreserver/blocks/rocks_block_store.h"

namespace shima {

namespace {
constexpr uint64_t kIndexCacheBytes = 32ull << 20;
}

RocksBlockStore::RocksBlockStore(std::unique_ptr<IndexDb> index, std::unique_ptr<DataFiles> files,
                                 WallClock wall_clock_ns)
    : index_(std::move(index)),
      files_(std::move(files)),
      wall_clock_ns_(std::move(wall_clock_ns)),
      inodes_(index_->db(), *index_->inodes()),
      kv_(index_->db(), *index_->metadata()),
      cache_(kIndexCacheBytes) {}

Status RocksBlockStore::scan(const std::string& prefix, const std::string& from, const Visit& visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(index_->db().NewIterator(options, index_->blocks()));
  for (it->Seek(std::max(prefix, from)); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    auto key = decode_block_key(it->key().ToStringView());
    if (!key) return key.status();
    auto entry = decode_index_entry(it->value().ToStringView());
    if (!entry) return entry.status().with_context(describe(*key));
    auto go_on = visit(*key, std::move(*entry));
    if (!go_on) return go_on.status();
    if (!*go_on) break;
  }
  return from_rocksdb(it->status(), "scanning the blocks");
}

Status RocksBlockStore::claim_slots_of_index() {
  std::map<GroupId, InodeStates::ByInode> used;  // for an index that knows no inodes
  SHIMA_RETURN_IF_ERROR(scan("", "", [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
    SHIMA_RETURN_IF_ERROR(files_->claim(entry.slot, entry.block_size).with_context(describe(key)));
    count(key.group, nullptr, &entry);
    if (index_->is_old()) used[key.group][key.inode].used_bytes += entry.present_bytes();
    return true;
  }));
  files_->finish_claims();
  return index_->is_old() ? make_used_bytes(used) : Status::ok();
}

Status RocksBlockStore::make_used_bytes(const std::map<GroupId, InodeStates::ByInode>& states) {
  for (const auto& [group, of_group] : states) {
    rocksdb::WriteBatch batch;
    SHIMA_RETURN_IF_ERROR(inodes_.add_to(batch, group, of_group));
    SHIMA_RETURN_IF_ERROR(index_->write(batch));
  }
  return index_->raise_format();
}

// Under the block's stripe lock.
Result<IndexEntryPtr> RocksBlockStore::load(const BlockKey& key) {
  if (IndexEntryPtr cached = cache_.find(key)) return cached;
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = index_->db().Get({}, index_->blocks(), encode_block_key(key), &value);
  if (got.IsNotFound()) return IndexEntryPtr();
  if (!got.ok()) return from_rocksdb(got, "reading the entry of " + describe(key));
  auto entry = decode_index_entry(value.ToStringView());
  if (!entry) return entry.status().with_context(describe(key));
  auto shared = std::make_shared<const IndexEntry>(std::move(*entry));
  cache_.put(key, shared);
  return IndexEntryPtr(shared);
}

Result<BlockPiece> RocksBlockStore::read(const BlockKey& key, uint32_t offset, uint32_t length) {
  if (offset % kChunkSize != 0 || length % kChunkSize != 0 || uint64_t{offset} + length > kMaxBlockSize) {
    return Status(Code::kInvalidArgument, "a read of bytes " + std::to_string(offset) + " + " +
                                              std::to_string(length) +
                                              " of a block; it must be whole chunks of 4096 below 4194304");
  }
  std::shared_lock lock(stripes_.of(key));
  auto entry = load(key);
  if (!entry) return entry.status();
  auto piece = read_present(*files_, entry->get(), offset, length);
  if (!piece && piece.status().code() == Code::kCorrupt) checksum_errors_++;
  if (!piece) return piece.status().with_context(describe(key));
  return piece;
}

Status RocksBlockStore::checkpoint_many(const std::vector<std::pair<GroupId, std::string>>& checkpoints) {
  std::lock_guard lock(checkpoint_mutex_);
  // Only what was freed before the index is synced: the freeing itself must be durable before the slot is
  // used anew.
  const std::vector<SlotId> freed = files_->take_quarantined();
  files_->sync_dirty();
  rocksdb::WriteBatch batch;
  for (const auto& [group, value] : checkpoints) {
    const std::string key = encode_group_key(group);
    const rocksdb::Status added =
        value.empty() ? batch.Delete(index_->groups(), key) : batch.Put(index_->groups(), key, value);
    if (!added.ok()) return from_rocksdb(added, "making a checkpoint");
  }
  if (checkpoints.empty()) batch.PutLogData("sync");  // an empty batch would sync nothing
  const Status written = index_->write_synced(batch);
  if (!written.is_ok()) {
    for (SlotId slot : freed) files_->quarantine(slot);
    return written;
  }
  files_->release(freed);
  return Status::ok();
}

Result<std::vector<std::pair<GroupId, std::string>>> RocksBlockStore::checkpoints() {
  std::vector<std::pair<GroupId, std::string>> found;
  std::unique_ptr<rocksdb::Iterator> it(index_->db().NewIterator({}, index_->groups()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    auto group = decode_group_key(it->key().ToStringView());
    if (!group) return group.status();
    found.emplace_back(*group, it->value().ToString());
  }
  SHIMA_RETURN_IF_ERROR(from_rocksdb(it->status(), "reading the checkpoints"));
  return found;
}

Status RocksBlockStore::for_each_block(GroupId group, const std::function<bool(const BlockInfo&)>& visit) {
  return scan(encode_group_key(group), "", [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
    return visit({key, entry.version, entry.block_size, entry.present_bytes()});
  });
}

Result<uint64_t> RocksBlockStore::present_bytes(GroupId group) {
  std::lock_guard lock(usage_mutex_);
  auto found = usage_.find(group);
  return found == usage_.end() ? 0 : found->second.present_bytes;
}

BlockStoreStats RocksBlockStore::stats() const {
  BlockStoreStats stats;
  {
    std::lock_guard lock(usage_mutex_);
    for (const auto& [group, usage] : usage_) {
      stats.blocks += usage.blocks;
      stats.present_bytes += usage.present_bytes;
    }
  }
  stats.slots = files_->slot_count();
  stats.free_slots = files_->free_slot_count();
  stats.checksum_errors = checksum_errors_;
  return stats;
}

Result<std::unique_ptr<BlockStore>> BlockStore::open(Disk& disk, const std::string& directory,
                                                     uint64_t disk_id, const BlockStoreOptions& options) {
  auto files = DataFiles::open(disk, directory + "/blocks", disk_id, options.slots_per_file);
  if (!files) return files.status();
  std::string beside;
  if (options.journal_has_records) beside = "journal/ has records of groups";
  if (!(*files)->empty()) beside = "blocks/ has data files";
  auto index =
      IndexDb::open(disk, directory + "/index", disk_id,
                    {options.rocksdb_cache_bytes, options.index_through_disk, options.wall_clock_ns, beside});
  if (!index) return index.status();
  auto store = std::make_unique<RocksBlockStore>(std::move(*index), std::move(*files), options.wall_clock_ns);
  SHIMA_RETURN_IF_ERROR(store->claim_slots_of_index().with_context(directory));
  return std::unique_ptr<BlockStore>(std::move(store));
}

}  // namespace shima
