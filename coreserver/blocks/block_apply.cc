// From records to data files and index: the only place where index entries and inode states change.
#include <rocksdb/db.h>

#include <algorithm>

#include "coreserver/blocks/rocks_block_store.h"

namespace shima {

namespace {
constexpr size_t kDropBatch = 256;  // blocks that go under one set of locks, in one index write
}

Status RocksBlockStore::check_all(GroupId group, uint32_t block_size,
                                  std::span<const RecordPtr> records) const {
  if (!is_block_size(block_size)) {
    return {Code::kInvalidArgument, "a block size of " + std::to_string(block_size) +
                                        " bytes; it must be a multiple of 4096 and at most 4194304"};
  }
  for (const RecordPtr& record : records) {
    SHIMA_RETURN_IF_ERROR(check_record(record->header, record->payload, group, block_size));
  }
  return Status::ok();
}

Status RocksBlockStore::apply(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) {
  SHIMA_RETURN_IF_ERROR(check_all(group, block_size, records));
  return apply_in_order(group, block_size, records, true);
}

Status RocksBlockStore::restore(GroupId group, uint32_t block_size, std::span<const RecordPtr> pieces) {
  SHIMA_RETURN_IF_ERROR(check_all(group, block_size, pieces));
  for (const RecordPtr& piece : pieces) {
    if (piece->header.kind == RecordKind::kWrite) continue;
    return {Code::kInvalidArgument, "a piece of a block must be a write"};
  }
  return apply_in_order(group, block_size, pieces, false);
}

// What is between two truncations is applied together; its order against them is kept. `counted`: in the
// states of inodes.
Status RocksBlockStore::apply_in_order(GroupId group, uint32_t block_size, std::span<const RecordPtr> records,
                                       bool counted) {
  std::vector<const Record*> run;
  for (const RecordPtr& record : records) {
    if (record->header.kind == RecordKind::kNoop) continue;
    if (record->header.kind != RecordKind::kTruncate) {
      run.push_back(record.get());
      continue;
    }
    SHIMA_RETURN_IF_ERROR(apply_run(group, block_size, run, counted));
    run.clear();
    SHIMA_RETURN_IF_ERROR(truncate(group, block_size, *record));
  }
  return apply_run(group, block_size, run, counted);
}

Status RocksBlockStore::apply_run(GroupId group, uint32_t block_size, const std::vector<const Record*>& run,
                                  bool counted) {
  Changes changes;
  std::map<BlockKey, BlockChange> by_block;
  for (const Record* record : run) {
    const RecordHeader& h = record->header;
    by_block.try_emplace({group, h.inode, h.block}, block_size).first->second.add(*record);
    if (!counted) continue;
    auto state = inodes_.load_into(group, h.inode, changes.inodes);
    if (!state) return state.status();
    count_record(h, **state);
  }
  std::vector<BlockKey> keys;
  for (const auto& [key, change] : by_block) keys.push_back(key);
  const auto locks = stripes_.lock_all(keys);
  for (const auto& [key, change] : by_block) {
    if (Status written = write_block(key, block_size, change, changes); !written.is_ok()) {
      give_back_new_slots(changes.blocks);
      return written.with_context(describe(key));
    }
  }
  return commit(group, changes);
}

Status RocksBlockStore::truncate(GroupId group, uint32_t block_size, const Record& record) {
  const RecordHeader& h = record.header;
  auto state = inodes_.load(group, h.inode);
  if (!state) return state.status();
  count_record(h, *state);
  const bool again = h.position.sequence <= state->truncated_at;  // after a crash
  if (h.fence <= state->truncated_fence && !again) {
    Changes changes;
    changes.inodes[h.inode] = *state;
    return commit(group, changes);
  }
  const TruncateCut cut = cut_of(h);
  if (cut.block.next() > cut.block) SHIMA_RETURN_IF_ERROR(drop_blocks_from(group, h.inode, cut.block.next()));
  state->truncated_fence = std::max(state->truncated_fence, h.fence);
  state->truncated_at = std::max(state->truncated_at, h.position.sequence);
  if (h.fence == kRemovedFence) state->mtime_ns = wall_clock_ns_();
  return cut_block(block_size, record, *state);
}

// In many index writes: a file may have millions of blocks.
Status RocksBlockStore::drop_blocks_from(GroupId group, InodeId inode, BlockIndex first) {
  const std::string prefix = encode_inode_prefix(group, inode);
  for (BlockKey from{group, inode, first};;) {
    Changes changes;
    std::vector<BlockKey> keys;
    SHIMA_RETURN_IF_ERROR(
        scan(prefix, encode_block_key(from), [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
          keys.push_back(key);
          changes.blocks.push_back({key, std::make_shared<const IndexEntry>(std::move(entry)), nullptr, {}});
          return keys.size() < kDropBatch;
        }));
    if (keys.empty()) return Status::ok();
    const auto locks = stripes_.lock_all(keys);
    SHIMA_RETURN_IF_ERROR(commit(group, changes));
    if (keys.size() < kDropBatch) return Status::ok();
    from.block = keys.back().block.next();
  }
}

// The last index write of a truncation: the block that the cut is in, and the inode's state.
Status RocksBlockStore::cut_block(uint32_t block_size, const Record& record, InodeState state) {
  const RecordHeader& h = record.header;
  const BlockKey key{h.group, h.inode, cut_of(h).block};
  const auto locks = stripes_.lock_all({key});
  // The blocks that were dropped are counted in the stored state already.
  auto stored = inodes_.load(h.group, h.inode);
  if (!stored) return stored.status();
  state.used_bytes = stored->used_bytes;
  Changes changes;
  changes.inodes[h.inode] = state;
  BlockChange change(block_size);
  change.add(record);
  if (Status written = write_block(key, block_size, change, changes); !written.is_ok()) {
    give_back_new_slots(changes.blocks);
    return written.with_context(describe(key));
  }
  return commit(h.group, changes);
}

// Writes the data of one block, and notes in `changes` what its index entry becomes.
Status RocksBlockStore::write_block(const BlockKey& key, uint32_t block_size, const BlockChange& change,
                                    Changes& changes) {
  auto before = load(key);
  if (!before) return before.status();
  if (*before && (*before)->block_size != block_size) {
    return {Code::kInvalidArgument, "the block has " + std::to_string((*before)->block_size) +
                                        " bytes; records for blocks of " + std::to_string(block_size) +
                                        " cannot be applied to it"};
  }
  IndexEntry after = *before ? **before : IndexEntry::all_holes(block_size);
  change.merge_into(after);
  if (after.present_bytes() == 0) {
    if (*before) changes.blocks.push_back({key, *before, nullptr, {}});
    return Status::ok();
  }
  if (!*before) {
    auto slot = files_->allocate(block_size);
    if (!slot) return slot.status();
    after.slot = *slot;
  }
  const SlotId slot = after.slot;
  changes.blocks.push_back({key, *before, std::make_shared<const IndexEntry>(std::move(after)), {}});
  if (*before) changes.blocks.back().punched = change.punched_ranges(**before);
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

Status RocksBlockStore::count_used_bytes(GroupId group, Changes& changes) {
  if (!changes.with_inodes) return Status::ok();
  for (const Update& update : changes.blocks) {
    auto state = inodes_.load_into(group, update.key.inode, changes.inodes);
    if (!state) return state.status();
    uint64_t& used = (*state)->used_bytes;
    used += update.after ? update.after->present_bytes() : 0;
    used -= std::min<uint64_t>(used, update.before ? update.before->present_bytes() : 0);
  }
  return Status::ok();
}

// One index write. Under the locks of the blocks.
Status RocksBlockStore::commit(GroupId group, Changes& changes) {
  const std::vector<Update>& updates = changes.blocks;
  if (Status counted = count_used_bytes(group, changes); !counted.is_ok()) {
    give_back_new_slots(updates);
    return counted;
  }
  if (updates.empty() && changes.inodes.empty()) return Status::ok();
  rocksdb::WriteBatch batch;
  for (const Update& update : updates) {
    const std::string key = encode_block_key(update.key);
    const rocksdb::Status added = update.after
                                      ? batch.Put(index_->blocks(), key, encode_index_entry(*update.after))
                                      : batch.Delete(index_->blocks(), key);
    if (!added.ok()) return from_rocksdb(added, "making a batch");
  }
  SHIMA_RETURN_IF_ERROR(inodes_.add_to(batch, group, changes.inodes));
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

Status RocksBlockStore::put_inode_state(GroupId group, InodeId inode, const InodeState& state) {
  auto here = inodes_.load(group, inode);
  if (!here) return here.status();
  Changes changes;
  InodeState& put = changes.inodes[inode];
  put.fence = state.fence;
  put.mtime_ns = state.mtime_ns;
  put.changes = state.changes;
  put.used_bytes = here->used_bytes;
  return commit(group, changes);
}

Status RocksBlockStore::delete_blocks(GroupId group) {
  rocksdb::WriteBatch states;
  SHIMA_RETURN_IF_ERROR(inodes_.add_deletion_to(states, group));
  SHIMA_RETURN_IF_ERROR(index_->write(states));
  for (std::string from;;) {
    Changes changes;
    changes.with_inodes = false;
    std::vector<BlockKey> keys;
    SHIMA_RETURN_IF_ERROR(
        scan(encode_group_key(group), from, [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
          keys.push_back(key);
          changes.blocks.push_back({key, std::make_shared<const IndexEntry>(std::move(entry)), nullptr, {}});
          return keys.size() < kDropBatch;
        }));
    if (keys.empty()) return Status::ok();
    const auto locks = stripes_.lock_all(keys);
    SHIMA_RETURN_IF_ERROR(commit(group, changes));
    from = encode_block_key(keys.back());
  }
}

}  // namespace shima
