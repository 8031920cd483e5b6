// How RocksDB keeps the column family `metadata`: many small values, read one by one and by short scans.
// Private to coreserver/metadata and coreserver/blocks: includes RocksDB.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/options.h>

#include <memory>

namespace shima {

// Keys up to here have a Bloom filter of their own beside that of whole keys: group (12 bytes), kind (1) and
// one number (8), which is a directory's entries, an inode's extended attributes or its locks. A scan of what
// is not there, the most frequent one, then reads no block.
inline constexpr size_t kFilteredPrefixBytes = 21;

rocksdb::ColumnFamilyOptions metadata_family(const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace shima
