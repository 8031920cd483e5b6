// RocksBlockStore: the BlockStore over an IndexDb and DataFiles. Private to coreserver/blocks.
//
// block_store.cc: opening, reading, checkpoints; block_apply.cc: applying records, which is the only place
// where index entries change; block_search.cc: where data and holes are.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "coreserver/blocks/block_change.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/blocks/data_files.h"
#include "coreserver/blocks/index_cache.h"
#include "coreserver/blocks/index_db.h"
#include "coreserver/blocks/index_entry.h"
#include "coreserver/blocks/inode_states.h"
#include "coreserver/blocks/stripe_locks.h"
#include "coreserver/metadata/kv_store.h"

namespace shima {

class RocksBlockStore : public BlockStore {
 public:
  RocksBlockStore(std::unique_ptr<IndexDb> index, std::unique_ptr<DataFiles> files, WallClock wall_clock_ns);

  Status claim_slots_of_index();
  Status apply(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) override;
  Status restore(GroupId group, uint32_t block_size, std::span<const RecordPtr> pieces) override;
  Result<BlockPiece> read(const BlockKey& key, uint32_t offset, uint32_t length) override;
  Status checkpoint(GroupId group, const std::string& value) override {
    return checkpoint_many({{group, value}});
  }
  Status checkpoint_many(const std::vector<std::pair<GroupId, std::string>>& checkpoints) override;
  Result<std::vector<std::pair<GroupId, std::string>>> checkpoints() override;
  Result<InodeState> inode_state(GroupId group, InodeId inode) override { return inodes_.load(group, inode); }
  Status put_inode_state(GroupId group, InodeId inode, const InodeState& state) override;
  Status for_each_inode(GroupId group,
                        const std::function<bool(InodeId, const InodeState&)>& visit) override {
    return inodes_.for_each(group, visit);
  }
  Result<std::optional<std::pair<BlockIndex, uint32_t>>> next_present(GroupId group, InodeId inode,
                                                                      BlockIndex from,
                                                                      uint32_t offset) override;
  Result<uint32_t> next_hole(const BlockKey& key, uint32_t offset, uint32_t block_size) override;
  KvStore& kv() override { return kv_; }
  Status delete_blocks(GroupId group) override;
  Status for_each_block(GroupId group, const std::function<bool(const BlockInfo&)>& visit) override;
  Result<uint64_t> present_bytes(GroupId group) override;
  BlockStoreStats stats() const override;

 private:
  // What becomes of one block.
  struct Update {
    BlockKey key;
    IndexEntryPtr before;  // null: the block was not there
    IndexEntryPtr after;   // null: the block is gone
    std::vector<BlockChange::Range> punched;
  };
  // What one index write changes.
  struct Changes {
    std::vector<Update> blocks;
    InodeStates::ByInode inodes;
    bool with_inodes = true;  // false: states of the blocks' inodes are left alone
  };
  struct Usage {
    uint64_t blocks = 0;
    uint64_t present_bytes = 0;
  };
  using Visit = std::function<Result<bool>(const BlockKey&, IndexEntry&&)>;

  // Blocks whose keys begin with `prefix`, from the key `from` on, until `visit` says false.
  Status scan(const std::string& prefix, const std::string& from, const Visit& visit);
  Result<IndexEntryPtr> load(const BlockKey& key);
  Status make_used_bytes(const std::map<GroupId, InodeStates::ByInode>& states);

  // block_apply.cc
  Status check_all(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) const;
  Status apply_in_order(GroupId group, uint32_t block_size, std::span<const RecordPtr> records, bool counted);
  Status apply_run(GroupId group, uint32_t block_size, const std::vector<const Record*>& run, bool counted);
  Status truncate(GroupId group, uint32_t block_size, const Record& record);
  Status drop_blocks_from(GroupId group, InodeId inode, BlockIndex first);
  Status cut_block(uint32_t block_size, const Record& record, InodeState state);
  Status write_block(const BlockKey& key, uint32_t block_size, const BlockChange& change, Changes& changes);
  Status commit(GroupId group, Changes& changes);
  Status count_used_bytes(GroupId group, Changes& changes);
  void give_back_new_slots(const std::vector<Update>& updates);
  void count(GroupId group, const IndexEntry* before, const IndexEntry* after);

  std::unique_ptr<IndexDb> index_;
  std::unique_ptr<DataFiles> files_;
  const WallClock wall_clock_ns_;
  InodeStates inodes_;
  KvStore kv_;
  IndexCache cache_;
  StripeLocks stripes_;
  std::mutex checkpoint_mutex_;
  mutable std::mutex usage_mutex_;
  std::map<GroupId, Usage> usage_;
  std::atomic<uint64_t> checksum_errors_{0};
};

}  // namespace shima
