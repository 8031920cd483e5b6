// KvStore: the metadata KVs of all metadata groups on one disk: what is committed and applied.
//
// On disk: column family `metadata` of the disk's index (blocks/index_db.h). Key: volume (8 bytes), group
// (4), big-endian, then the key; the group alone is its usage: version byte 1, u64 keys, u64 bytes,
// little-endian. Made by and living beside a BlockStore: BlockStore::checkpoint() makes durable what was
// applied before it. Crash contract: as blocks/block_store.h has it. After a crash a group is at a state
// between its last checkpoint and its last apply; applying again, in order, all records after the checkpoint
// gives the right state. Threads: all methods from any thread; apply() and delete_group() of one group from
// one thread at a time. A scan sees the KV as it was when the scan began. Errors: kNoSpace, kIo, kCorrupt of
// RocksDB; what else is said below.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/status/status.h"
#include "common/types/record.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
}  // namespace rocksdb

namespace shima {

struct KvUsage {
  uint64_t keys = 0;
  uint64_t bytes = 0;  // of keys and values
  bool operator==(const KvUsage&) const = default;
};

class KvStore {
 public:
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;

  // Both outlive it; the family was opened with metadata_family() of kv_family.h.
  KvStore(rocksdb::DB& db, rocksdb::ColumnFamilyHandle& family) : db_(db), family_(family) {}
  KvStore(const KvStore&) = delete;
  KvStore& operator=(const KvStore&) = delete;

  // Applies batches of the group, in order, as one change; passes over noops. kInvalidArgument for records of
  // another group or kind, kCorrupt for a payload that is no batch or not what its checksums say: then
  // nothing was changed.
  Status apply(GroupId group, std::span<const RecordPtr> records);

  Result<std::optional<std::string>> get(GroupId group, std::string_view key) const;
  // Visits keys >= `from` that begin with `prefix`, ascending, until `visit` returns false.
  Status scan(GroupId group, std::string_view prefix, std::string_view from, const Visit& visit) const;

  Status delete_group(GroupId group);
  Result<KvUsage> usage(GroupId group) const;

  // For a resync: keys behind `after_key` (empty: from the first) as one encoded KvBatch of puts of about
  // max_bytes, with at least one key, and the last of them. Both are empty at the end.
  Result<std::pair<std::string, std::string>> read_batch(GroupId group, std::string_view after_key,
                                                         uint64_t max_bytes) const;

 private:
  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle& family_;
};

}  // namespace shima
