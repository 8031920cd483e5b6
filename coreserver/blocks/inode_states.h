// InodeStates: what groups know of inodes, in the column family `inodes` of the index.
//
// Key: volume (8 bytes), group (4), inode (8), big-endian. Value, little-endian: version 1 (1 byte), fence,
// mtime_ns, changes, used bytes, truncated fence, truncated at, newest (8 each), crc32c of all that precedes
// (4). Private to coreserver/blocks. Threads: any; a group's states are changed by one thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/status/status.h"
#include "coreserver/blocks/block_store.h"

namespace rocksdb {
class ColumnFamilyHandle;
class CompactionFilter;
class DB;
class WriteBatch;
}  // namespace rocksdb

namespace shima {

std::string encode_inode_state(const InodeState& state);
Result<InodeState> decode_inode_state(std::string_view value);  // kCorrupt unless it is one

// Drops tombstones that are older than kTombstoneNs.
std::unique_ptr<rocksdb::CompactionFilter> make_tombstone_filter(WallClock wall_clock_ns);

class InodeStates {
 public:
  using ByInode = std::map<InodeId, InodeState>;

  InodeStates(rocksdb::DB& db, rocksdb::ColumnFamilyHandle& family) : db_(db), family_(family) {}

  Result<InodeState> load(GroupId group, InodeId inode) const;
  // The state in `states`, where it is put first if it is not there.
  Result<InodeState*> load_into(GroupId group, InodeId inode, ByInode& states) const;
  Status for_each(GroupId group, const std::function<bool(InodeId, const InodeState&)>& visit) const;

  Status add_to(rocksdb::WriteBatch& batch, GroupId group, const ByInode& states) const;
  Status add_deletion_to(rocksdb::WriteBatch& batch, GroupId group) const;  // of all the group's

 private:
  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle& family_;
};

}  // namespace shima
