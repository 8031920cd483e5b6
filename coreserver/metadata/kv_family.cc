#include "coreserver/metadata/kv_family.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

namespace shima {

rocksdb::ColumnFamilyOptions metadata_family(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = true;
  table.block_size = 8 << 10;
  // Filters of a large volume compete with its blocks for the cache instead of growing beside it.
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(kFilteredPrefixBytes));
  options.compression = rocksdb::kLZ4Compression;
  options.write_buffer_size = 16ull << 20;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

}  // namespace shima
