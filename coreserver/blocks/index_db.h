// IndexDb: the RocksDB under index/: its options, its column families, and whose disk it is.
//
// Column families: `blocks` (index entries), `groups` (checkpoints), `disk` ("format": version, "disk_id"),
// `metadata` (metadata/kv_store.h), `inodes` (inode_states.h). Format version 1 had not the last two: an
// index of it gets them when it is opened, see is_old(). Private to coreserver/blocks: includes RocksDB.
// Threads: any. Writes go to the write-ahead log; only write_synced() makes them (and all before) durable.
#pragma once

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/runtime/disk.h"
#include "common/status/status.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/blocks/index_format.h"
#include "coreserver/blocks/rocksdb_status.h"

namespace shima {

struct IndexDbOptions {
  uint64_t cache_bytes = 64ull << 20;
  bool through_disk = false;  // RocksDB's files go through `disk`
  WallClock wall_clock_ns = system_wall_clock_ns;
  std::string beside = {};  // not empty: what tells that there was an index, so that none is made
};

class IndexDb {
 public:
  // Opens or makes the index of disk `disk_id`. Another disk's, or another format version, is kCorrupt, and
  // so is one that is not there although it was.
  static Result<std::unique_ptr<IndexDb>> open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                               const IndexDbOptions& options);
  // As it is at this instant, for looking only; works beside a running server. Takes the disk id from the
  // index. Without `inodes`, and without `metadata` if the index is of format version 1.
  static Result<std::unique_ptr<IndexDb>> open_to_look(const std::string& directory);
  ~IndexDb();

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* blocks() const { return families_[1]; }
  rocksdb::ColumnFamilyHandle* groups() const { return families_[2]; }
  bool has_metadata() const { return families_.size() > 4; }
  rocksdb::ColumnFamilyHandle* metadata() const { return families_[4]; }
  rocksdb::ColumnFamilyHandle* inodes() const { return families_[5]; }
  uint64_t disk_id() const { return disk_id_; }
  // Of an older format: what it lacks is to be made from the rest, then raise_format().
  bool is_old() const { return format_version_ < kIndexFormatVersion; }
  Status raise_format();

  Status write(rocksdb::WriteBatch& batch) { return write_with(batch, false); }
  // A failed sync ends the process (R22); kNoSpace comes back.
  Status write_synced(rocksdb::WriteBatch& batch);

 private:
  IndexDb() = default;
  rocksdb::ColumnFamilyHandle* disk_values() const { return families_[3]; }
  Status write_with(rocksdb::WriteBatch& batch, bool sync);
  Status check_or_write_identity(uint64_t disk_id, const std::string& beside);
  Status read_identity(bool& found);

  std::unique_ptr<rocksdb::Env> env_;                      // only with through_disk; outlives db_
  std::unique_ptr<rocksdb::CompactionFilter> tombstones_;  // outlives db_
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // default, blocks, groups, disk, metadata, inodes
  uint64_t disk_id_ = 0;
  uint64_t format_version_ = kIndexFormatVersion;
};

}  // namespace shima
