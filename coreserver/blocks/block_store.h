// BlockStore: the contents of blocks of one disk: slots in data files, index and checksums in RocksDB.
//
// On disk: blocks/data-NNNN.shb are files of slots (one slot holds one block; sparse inside); index/ is a
// RocksDB with column families `blocks` (key: group, inode, block index big-endian; value: magic, version
// byte, slot, block size, last applied position, presence bitmap and crc32c of each 4 KiB), `inodes` (what a
// group knows of its inodes), `metadata` (kv()), `groups` (checkpoints) and `disk` (superblock values).
//
// Crash contract: apply() is not durable by itself. checkpoint() makes durable all applies that returned
// before it, together with the given checkpoint, data first and then the index: after a crash every group is
// at a state between its last checkpoint and its last apply, and applying again, in order, every record after
// the checkpoint gives the right state. (Index writes go to RocksDB's WAL without sync; checkpoint() syncs
// data files, then the WAL.)
//
// Truncation (R18): apply() executes a kTruncate if its fence is higher than that of every truncation of the
// inode before it; one with a fence that was executed changes nothing. Records are taken in order, and a
// truncation drops blocks in many small index writes, with the fence in the last: after a crash within, the
// record comes again. When records are applied again after a crash, those up to the newest truncation that
// was executed are executed again; this is right because the primary puts no second truncation of one fence
// into the log.
//
// Tombstones: of an inode that was removed (kRemovedFence) its InodeState stays, with mtime_ns set to the
// time of the removal by this member's clock, so that late writes of the inode are refused. A compaction of
// RocksDB drops it when it is older than kTombstoneNs: then no request of a client can be on its way any
// more. When the removal is applied again later, that only makes the tombstone again.
//
// Reads are checked against the checksums; a mismatch is kCorrupt and never returns bytes (I8).
// Threads: all methods from any thread; apply() of one group from one thread at a time. A read of a block and
// an apply to it exclude each other, so a read sees a block at one version.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/runtime/disk.h"
#include "common/status/status.h"
#include "common/types/record.h"

namespace shima {

class KvStore;

inline constexpr int64_t kTombstoneNs = 600'000'000'000;

// Nanoseconds since 1970; from any thread.
using WallClock = std::function<int64_t()>;
int64_t system_wall_clock_ns();

struct BlockStoreOptions {
  uint64_t slots_per_file = 1024;
  uint64_t rocksdb_cache_bytes = 64ull << 20;
  // false: RocksDB writes to the kernel's files directly; true: through `disk` as well (crash tests).
  bool index_through_disk = false;
  WallClock wall_clock_ns = system_wall_clock_ns;  // for tombstones
  // The disk's journal has records of groups, so there was an index: an empty one is not made in its place.
  bool journal_has_records = false;
};

struct BlockKey {
  GroupId group;
  InodeId inode;
  BlockIndex block;
  auto operator<=>(const BlockKey&) const = default;
};

// A part of a block as it is stored.
struct BlockPiece {
  Position version;  // position of the last record applied to the block; 0:0 if the block is not there
  Buffer bytes;      // holes read as zero
  std::vector<uint32_t> checksums;  // one a chunk (those of zeros for holes)
};

struct BlockInfo {
  BlockKey key;
  Position version;
  uint32_t block_size = 0;     // bytes
  uint32_t present_bytes = 0;  // chunks that are not holes, in bytes
};

// What a data group knows of an inode (R18, R19). All zero for one that it never heard of.
struct InodeState {
  uint64_t fence = 0;       // highest seen; kRemovedFence: the inode is gone for ever
  int64_t mtime_ns = 0;     // highest time_ns of its records
  uint64_t changes = 0;     // writes and punches, ever
  uint64_t used_bytes = 0;  // chunks in this group that are not holes

  uint64_t truncated_fence = 0;  // of the truncations that were executed
  Sequence truncated_at;         // the newest of them
  Sequence newest;               // record that is counted in here

  bool operator==(const InodeState&) const = default;
};

// Counts one more record of the inode, which is not yet executed: fence, mtime, changes. Records up to
// state.newest are counted already.
void count_record(const RecordHeader& header, InodeState& state);

struct BlockStoreStats {
  uint64_t blocks = 0, slots = 0, free_slots = 0, present_bytes = 0, checksum_errors = 0;
};

class BlockStore {
 public:
  // kCorrupt, at each try: data files or the journal tell that there was an index, and it is not there.
  static Result<std::unique_ptr<BlockStore>> open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                                  const BlockStoreOptions& options);
  virtual ~BlockStore() = default;

  // Applies records of one group, in order. All are committed. A block's slot is made on its first write with
  // the given block size in bytes (the volume's). Punching all of a block frees its slot. On kNoSpace nothing
  // is lost: apply the same records again later; until then reads of their blocks may be kCorrupt, as they
  // may be after a crash until every record after the checkpoint was applied again (blocks are overwritten in
  // place).
  virtual Status apply(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) = 0;
  // The same for writes that are no records of the log but pieces of blocks as another member has them, for a
  // resync: of inode states only used_bytes follows.
  virtual Status restore(GroupId group, uint32_t block_size, std::span<const RecordPtr> pieces) = 0;

  // Reads [offset, offset + length) of a block; both multiples of kChunkSize. A block that is not there reads
  // as zeros.
  virtual Result<BlockPiece> read(const BlockKey& key, uint32_t offset, uint32_t length) = 0;

  // Makes durable everything applied so far and this opaque checkpoint of the group (empty: deletes it).
  virtual Status checkpoint(GroupId group, const std::string& checkpoint) = 0;
  virtual Status checkpoint_many(
      const std::vector<std::pair<GroupId, std::string>>& checkpoints) = 0;  // with one sync
  // All groups that have a checkpoint.
  virtual Result<std::vector<std::pair<GroupId, std::string>>> checkpoints() = 0;

  virtual Result<InodeState> inode_state(GroupId group, InodeId inode) = 0;
  // Takes fence, mtime_ns and changes of another member's state, for a resync. The log from before that state
  // on is applied over it, so no truncation counts as executed; used_bytes is what is here.
  virtual Status put_inode_state(GroupId group, InodeId inode, const InodeState& state) = 0;
  // Calls `visit` for each inode that the group knows, ascending, until it returns false. All states are of
  // one instant.
  virtual Status for_each_inode(GroupId group,
                                const std::function<bool(InodeId, const InodeState&)>& visit) = 0;

  // Where the inode's first data in this group is, at or behind `offset` (bytes, any) of block `from`.
  virtual Result<std::optional<std::pair<BlockIndex, uint32_t>>> next_present(GroupId group, InodeId inode,
                                                                              BlockIndex from,
                                                                              uint32_t offset) = 0;
  // The first byte at or behind `offset` of the block that no data is for; block_size if there is none.
  virtual Result<uint32_t> next_hole(const BlockKey& key, uint32_t offset, uint32_t block_size) = 0;

  // The KVs of metadata groups on this disk; lives as long as this. checkpoint() makes both durable.
  virtual KvStore& kv() = 0;

  // Deletes all blocks and inode states of the group (and keeps its checkpoint); durable on the next
  // checkpoint.
  virtual Status delete_blocks(GroupId group) = 0;

  // Calls `visit` for each block of the group in key order, until it returns false.
  virtual Status for_each_block(GroupId group, const std::function<bool(const BlockInfo&)>& visit) = 0;
  // Number of bytes that are not holes, over the group's blocks.
  virtual Result<uint64_t> present_bytes(GroupId group) = 0;

  virtual BlockStoreStats stats() const = 0;
};

}  // namespace shima
