#include "coreserver/blocks/block_store.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "coreserver/blocks/block_change.h"
#include "coreserver/blocks/data_files.h"
#include "coreserver/blocks/index_cache.h"
#include "coreserver/blocks/index_db.h"
#include "coreserver/blocks/index_entry.h"
#include "coreserver/blocks/present_read.h"

namespace shima {
namespace {

constexpr uint64_t kIndexCacheBytes = 32ull << 20;
constexpr size_t kDeleteBatch = 256;  // blocks deleted under one set of locks

// A lock for each block, by hash: shared for a read, exclusive from an apply's first data write until its
// index write.
class StripeLocks {
 public:
  std::shared_mutex& of(const BlockKey& key) { return stripes_[number(key)]; }

  // Locks all the keys' stripes, always in ascending order, so that two callers cannot wait for each other.
  std::vector<std::unique_lock<std::shared_mutex>> lock_all(const std::vector<BlockKey>& keys) {
    std::vector<size_t> numbers;
    for (const BlockKey& key : keys) numbers.push_back(number(key));
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    std::vector<std::unique_lock<std::shared_mutex>> locks;
    for (size_t n : numbers) locks.emplace_back(stripes_[n]);
    return locks;
  }

 private:
  static constexpr size_t kStripes = 1024;
  static size_t number(const BlockKey& key) { return BlockKeyHash()(key) % kStripes; }
  std::array<std::shared_mutex, kStripes> stripes_;
};

class RocksBlockStore : public BlockStore {
 public:
  RocksBlockStore(std::unique_ptr<IndexDb> index, std::unique_ptr<DataFiles> files)
      : index_(std::move(index)), files_(std::move(files)), cache_(kIndexCacheBytes) {}

  Status claim_slots_of_index();
  Status apply(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) override;
  Result<BlockPiece> read(const BlockKey& key, uint32_t offset, uint32_t length) override;
  Status checkpoint(GroupId group, const std::string& value) override {
    return checkpoint_many({{group, value}});
  }
  Status checkpoint_many(const std::vector<std::pair<GroupId, std::string>>& checkpoints) override;
  Result<std::vector<std::pair<GroupId, std::string>>> checkpoints() override;
  Status delete_blocks(GroupId group) override;
  Status for_each_block(GroupId group, const std::function<bool(const BlockInfo&)>& visit) override;
  Result<uint64_t> present_bytes(GroupId group) override;
  BlockStoreStats stats() const override;

 private:
  // What one apply() changes, gathered until its one index write.
  struct Update {
    BlockKey key;
    IndexEntryPtr before;  // null: the block was not there
    IndexEntryPtr after;   // null: the block is gone
    std::vector<BlockChange::Range> punched;
  };
  struct Usage {
    uint64_t blocks = 0;
    uint64_t present_bytes = 0;
  };

  Result<IndexEntryPtr> load(const BlockKey& key);
  Status write_block(const BlockKey& key, uint32_t block_size, const std::vector<const Record*>& records,
                     std::vector<Update>& updates);
  Status commit_updates(const std::vector<Update>& updates);
  void give_back_new_slots(const std::vector<Update>& updates);
  void count(GroupId group, const IndexEntry* before, const IndexEntry* after);
  Status scan(const std::string& prefix,
              const std::function<Result<bool>(const BlockKey&, IndexEntry&&)>& visit);

  std::unique_ptr<IndexDb> index_;
  std::unique_ptr<DataFiles> files_;
  IndexCache cache_;
  StripeLocks stripes_;
  std::mutex checkpoint_mutex_;
  mutable std::mutex usage_mutex_;
  std::map<GroupId, Usage> usage_;
  std::atomic<uint64_t> checksum_errors_{0};
};

Status RocksBlockStore::scan(const std::string& prefix,
                             const std::function<Result<bool>(const BlockKey&, IndexEntry&&)>& visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(index_->db().NewIterator(options, index_->blocks()));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
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
  SHIMA_RETURN_IF_ERROR(scan("", [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
    SHIMA_RETURN_IF_ERROR(files_->claim(entry.slot, entry.block_size).with_context(describe(key)));
    count(key.group, nullptr, &entry);
    return true;
  }));
  files_->finish_claims();
  return Status::ok();
}

void RocksBlockStore::count(GroupId group, const IndexEntry* before, const IndexEntry* after) {
  std::lock_guard lock(usage_mutex_);
  Usage& usage = usage_[group];
  if (before != nullptr) {
    usage.blocks--;
    usage.present_bytes -= before->present_bytes();
  }
  if (after != nullptr) {
    usage.blocks++;
    usage.present_bytes += after->present_bytes();
  }
  if (usage.blocks == 0) usage_.erase(group);
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

Status RocksBlockStore::apply(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) {
  if (!is_block_size(block_size)) {
    return {Code::kInvalidArgument, "a block size of " + std::to_string(block_size) +
                                        " bytes; it must be a multiple of 4096 and at most 4194304"};
  }
  std::map<BlockKey, std::vector<const Record*>> by_block;
  for (const RecordPtr& record : records) {
    SHIMA_RETURN_IF_ERROR(check_record(record->header, record->payload, group, block_size));
    if (record->header.kind == RecordKind::kNoop) continue;
    by_block[{group, record->header.inode, record->header.block}].push_back(record.get());
  }
  std::vector<BlockKey> keys;
  for (const auto& [key, of_block] : by_block) keys.push_back(key);
  const auto locks = stripes_.lock_all(keys);

  std::vector<Update> updates;
  for (const auto& [key, of_block] : by_block) {
    if (Status written = write_block(key, block_size, of_block, updates); !written.is_ok()) {
      give_back_new_slots(updates);
      return written.with_context(describe(key));
    }
  }
  return commit_updates(updates);
}

// Writes the data of one block, and notes in `updates` what its index entry becomes.
Status RocksBlockStore::write_block(const BlockKey& key, uint32_t block_size,
                                    const std::vector<const Record*>& records, std::vector<Update>& updates) {
  auto before = load(key);
  if (!before) return before.status();
  if (*before && (*before)->block_size != block_size) {
    return {Code::kInvalidArgument, "the block has " + std::to_string((*before)->block_size) +
                                        " bytes; records for blocks of " + std::to_string(block_size) +
                                        " cannot be applied to it"};
  }
  BlockChange change(block_size);
  for (const Record* record : records) change.add(*record);
  IndexEntry after = *before ? **before : IndexEntry::all_holes(block_size);
  change.merge_into(after);
  if (after.present_bytes() == 0) {
    if (*before) updates.push_back({key, *before, nullptr, {}});
    return Status::ok();
  }
  if (!*before) {
    auto slot = files_->allocate(block_size);
    if (!slot) return slot.status();
    after.slot = *slot;
  }
  const SlotId slot = after.slot;
  updates.push_back({key, *before, std::make_shared<const IndexEntry>(std::move(after)), {}});
  if (*before) updates.back().punched = change.punched_ranges(**before);
  for (const BlockChange::WriteRun& run : change.write_runs()) {
    SHIMA_RETURN_IF_ERROR(files_->write(slot, run.offset, run.pieces));
  }
  return Status::ok();
}

void RocksBlockStore::give_back_new_slots(const std::vector<Update>& updates) {
  for (const Update& update : updates) {
    if (!update.before && update.after) files_->give_back_unused(update.after->slot);
  }
}

Status RocksBlockStore::commit_updates(const std::vector<Update>& updates) {
  if (updates.empty()) return Status::ok();
  rocksdb::WriteBatch batch;
  for (const Update& update : updates) {
    const std::string key = encode_block_key(update.key);
    const rocksdb::Status added = update.after
                                      ? batch.Put(index_->blocks(), key, encode_index_entry(*update.after))
                                      : batch.Delete(index_->blocks(), key);
    if (!added.ok()) return from_rocksdb(added, "making a batch");
  }
  if (Status written = index_->write(batch); !written.is_ok()) {
    // The log may hold the batch all the same: its new slots wait for the next successful checkpoint.
    for (const Update& update : updates) {
      cache_.erase(update.key);
      if (!update.before && update.after) files_->quarantine(update.after->slot);
    }
    return written;
  }
  for (const Update& update : updates) {
    count(update.key.group, update.before.get(), update.after.get());
    if (update.after) {
      cache_.put(update.key, update.after);
      for (const auto& range : update.punched) files_->punch(update.after->slot, range.offset, range.length);
    } else {
      cache_.erase(update.key);
      files_->quarantine(update.before->slot);
    }
  }
  return Status::ok();
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

Status RocksBlockStore::delete_blocks(GroupId group) {
  for (;;) {
    std::vector<BlockKey> keys;
    SHIMA_RETURN_IF_ERROR(
        scan(encode_group_key(group), [&](const BlockKey& key, IndexEntry&&) -> Result<bool> {
          keys.push_back(key);
          return keys.size() < kDeleteBatch;
        }));
    if (keys.empty()) return Status::ok();
    const auto locks = stripes_.lock_all(keys);
    std::vector<Update> updates;
    for (const BlockKey& key : keys) {
      auto entry = load(key);
      if (!entry) return entry.status();
      if (*entry) updates.push_back({key, *entry, nullptr, {}});
    }
    SHIMA_RETURN_IF_ERROR(commit_updates(updates));
  }
}

Status RocksBlockStore::for_each_block(GroupId group, const std::function<bool(const BlockInfo&)>& visit) {
  return scan(encode_group_key(group), [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
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

}  // namespace

Result<std::unique_ptr<BlockStore>> BlockStore::open(Disk& disk, const std::string& directory,
                                                     uint64_t disk_id, const BlockStoreOptions& options) {
  auto index = IndexDb::open(disk, directory + "/index", disk_id,
                             {options.rocksdb_cache_bytes, options.index_through_disk});
  if (!index) return index.status();
  auto files = DataFiles::open(disk, directory + "/blocks", disk_id, options.slots_per_file);
  if (!files) return files.status();
  if ((*index)->is_new() && !(*files)->empty()) {
    return Status(Code::kCorrupt, directory +
                                      ": blocks/ has data files, but index/ is empty: the index was lost; "
                                      "this disk must be emptied and resynced");
  }
  auto store = std::make_unique<RocksBlockStore>(std::move(*index), std::move(*files));
  SHIMA_RETURN_IF_ERROR(store->claim_slots_of_index().with_context(directory));
  return std::unique_ptr<BlockStore>(std::move(store));
}

}  // namespace shima
