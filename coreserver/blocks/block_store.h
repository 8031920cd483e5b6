// BlockStore: the contents of blocks of one disk: slots in data files, index and checksums in RocksDB.
//
// On disk: blocks/data-NNNN.shb are files of slots (one slot holds one block; sparse inside); index/ is a
// RocksDB with column families `blocks` (key: group, inode, block index big-endian; value: magic, version
// byte, slot, block size, last applied position, presence bitmap and crc32c of each 4 KiB), `groups`
// (checkpoints) and `disk` (superblock values).
//
// Crash contract: apply() is not durable by itself. checkpoint() makes durable all applies that returned
// before it, together with the given checkpoint, data first and then the index: after a crash every group is
// at a state between its last checkpoint and its last apply, and applying again, in order, every record after
// the checkpoint gives the right state. (Index writes go to RocksDB's WAL without sync; checkpoint() syncs
// data files, then the WAL.)
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
#include <vector>

#include "common/runtime/disk.h"
#include "common/status/status.h"
#include "common/types/record.h"

namespace shima {

struct BlockStoreOptions {
  uint64_t slots_per_file = 1024;
  uint64_t rocksdb_cache_bytes = 64ull << 20;
  // false: RocksDB writes to the kernel's files directly; true: through `disk` as well (crash tests).
  bool index_through_disk = false;
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

struct BlockStoreStats {
  uint64_t blocks = 0, slots = 0, free_slots = 0, present_bytes = 0, checksum_errors = 0;
};

class BlockStore {
 public:
  static Result<std::unique_ptr<BlockStore>> open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                                  const BlockStoreOptions& options);
  virtual ~BlockStore() = default;

  // Applies records of one group, in order. All are committed. A block's slot is made on its first write with
  // the given block size in bytes (the volume's). Punching all of a block frees its slot. On kNoSpace nothing
  // is lost: apply the same records again later; until then reads of their blocks may be kCorrupt, as they
  // may be after a crash until every record after the checkpoint was applied again (blocks are overwritten in
  // place).
  virtual Status apply(GroupId group, uint32_t block_size, std::span<const RecordPtr> records) = 0;

  // Reads [offset, offset + length) of a block; both multiples of kChunkSize. A block that is not there reads
  // as zeros.
  virtual Result<BlockPiece> read(const BlockKey& key, uint32_t offset, uint32_t length) = 0;

  // Makes durable everything applied so far and this opaque checkpoint of the group (empty: deletes it).
  virtual Status checkpoint(GroupId group, const std::string& checkpoint) = 0;
  virtual Status checkpoint_many(
      const std::vector<std::pair<GroupId, std::string>>& checkpoints) = 0;  // with one sync
  // All groups that have a checkpoint.
  virtual Result<std::vector<std::pair<GroupId, std::string>>> checkpoints() = 0;

  // Deletes all blocks of the group (and keeps its checkpoint); durable on the next checkpoint.
  virtual Status delete_blocks(GroupId group) = 0;

  // Calls `visit` for each block of the group in key order, until it returns false.
  virtual Status for_each_block(GroupId group, const std::function<bool(const BlockInfo&)>& visit) = 0;
  // Number of bytes that are not holes, over the group's blocks.
  virtual Result<uint64_t> present_bytes(GroupId group) = 0;

  virtual BlockStoreStats stats() const = 0;
};

}  // namespace shima
