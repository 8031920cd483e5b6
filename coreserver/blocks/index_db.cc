#include "coreserver/blocks/index_db.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <filesystem>

#include "common/types/byte_order.h"
#include "coreserver/blocks/index_format.h"
#include "coreserver/blocks/inode_states.h"
#include "coreserver/blocks/rocksdb_env.h"
#include "coreserver/metadata/kv_family.h"

namespace shima {
namespace {

// RocksDB's own log: errors go to stderr, everything else nowhere.
class ErrorsOnlyLogger : public rocksdb::Logger {
 public:
  ErrorsOnlyLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}  // headers and untagged lines
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::ERROR_LEVEL || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    char line[1024];
    std::vsnprintf(line, sizeof line, format, arguments);
    std::fprintf(stderr, "rocksdb: %s\n", line);
  }
};

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.max_total_wal_size = 64ull << 20;
  // Behind the last sync a power loss leaves any mixture of old and new pages, so what follows a bad entry
  // is dropped without a word. Rot before the last sync then looks the same: what the journal has released
  // tells (R22, driver/group_checkpoint.h).
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.info_log = std::make_shared<ErrorsOnlyLogger>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

Status index_was_lost(const std::string& beside) {
  return {Code::kCorrupt,
          beside +
              ", but there is no index: it was lost. Nothing was changed. Bring it back; if it is lost for "
              "ever, so is this disk: give the server an empty one (shimactl server forget-disk)"};
}

using Families = std::vector<rocksdb::ColumnFamilyDescriptor>;

// Those that every format has.
Families first_families(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 16 << 10;  // a value of a 1 MiB block is about 1 KiB
  rocksdb::ColumnFamilyOptions blocks;
  blocks.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  blocks.compression = rocksdb::kNoCompression;  // checksums do not compress
  blocks.write_buffer_size = 32ull << 20;
  rocksdb::ColumnFamilyOptions small = blocks;
  small.write_buffer_size = 1ull << 20;
  return {{rocksdb::kDefaultColumnFamilyName, small}, {"blocks", blocks}, {"groups", small}, {"disk", small}};
}

Families all_families(uint64_t cache_bytes, const rocksdb::CompactionFilter* tombstones) {
  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(cache_bytes);
  Families families = first_families(cache);
  families.push_back({"metadata", metadata_family(cache)});
  rocksdb::ColumnFamilyOptions inodes = families[1].options;
  inodes.write_buffer_size = 4ull << 20;
  inodes.compaction_filter = tombstones;
  inodes.periodic_compaction_seconds = 6 * 3600;  // also tombstones of a quiet disk end
  families.push_back({"inodes", inodes});
  return families;
}

}  // namespace

Result<std::unique_ptr<IndexDb>> IndexDb::open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                               const IndexDbOptions& options) {
  SHIMA_RETURN_IF_ERROR(disk.make_directories(directory));
  std::unique_ptr<IndexDb> index(new IndexDb());
  rocksdb::DBOptions db_options = database_options();
  if (options.through_disk) {
    index->env_ = make_rocksdb_env(disk);
    db_options.env = index->env_.get();
  }
  if (!options.beside.empty()) {
    const rocksdb::Status there = db_options.env->FileExists(directory + "/CURRENT");
    if (there.IsNotFound()) return index_was_lost(options.beside).with_context(directory);
    if (!there.ok()) return from_rocksdb(there, "looking for " + directory + "/CURRENT");
    db_options.create_if_missing = false;
  }
  index->tombstones_ = make_tombstone_filter(options.wall_clock_ns);
  const Families families = all_families(options.cache_bytes, index->tombstones_.get());
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(db_options, directory, families, &index->families_, &db);
  if (!opened.ok()) return from_rocksdb(opened, "opening " + directory);
  index->db_.reset(db);
  SHIMA_RETURN_IF_ERROR(index->check_or_write_identity(disk_id, options.beside).with_context(directory));
  return index;
}

Result<std::unique_ptr<IndexDb>> IndexDb::open_to_look(const std::string& directory) {
  if (std::error_code error; !std::filesystem::is_directory(directory, error)) {
    return Status(Code::kNotFound,
                  "there is no " + directory + "; name the directory of a disk of a core server");
  }
  // A running server may delete a file between our reading of the manifest and our opening of the file.
  constexpr int kAttempts = 5;
  rocksdb::Status opened;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    std::unique_ptr<IndexDb> index(new IndexDb());
    rocksdb::DB* db = nullptr;
    const auto cache = rocksdb::NewLRUCache(8ull << 20);
    Families families = first_families(cache);
    std::vector<std::string> names;
    opened = rocksdb::DB::ListColumnFamilies(database_options(), directory, &names);
    if (!opened.ok()) continue;
    if (std::find(names.begin(), names.end(), "metadata") != names.end())
      families.push_back({"metadata", metadata_family(cache)});
    opened = rocksdb::DB::OpenForReadOnly(database_options(), directory, families, &index->families_, &db);
    if (!opened.ok()) continue;
    index->db_.reset(db);
    bool found = false;
    SHIMA_RETURN_IF_ERROR(index->read_identity(found).with_context(directory));
    if (!found)
      return Status(Code::kCorrupt, directory + ": it holds no disk id; it is not an index of blocks");
    return index;
  }
  return from_rocksdb(opened, "opening " + directory + " to look at it");
}

IndexDb::~IndexDb() {
  if (!db_) return;
  for (rocksdb::ColumnFamilyHandle* family : families_)
    static_cast<void>(db_->DestroyColumnFamilyHandle(family));
  static_cast<void>(db_->Close());
}

Status IndexDb::read_identity(bool& found) {
  std::string format, id;
  const rocksdb::Status format_read = db_->Get({}, disk_values(), "format", &format);
  const rocksdb::Status id_read = db_->Get({}, disk_values(), "disk_id", &id);
  found = !(format_read.IsNotFound() && id_read.IsNotFound());
  if (!found) return Status::ok();
  if (!format_read.ok()) return from_rocksdb(format_read, "reading its format version");
  if (!id_read.ok()) return from_rocksdb(id_read, "reading its disk id");
  std::string_view id_bytes = id;
  if (!take_little_endian(id_bytes, disk_id_)) return {Code::kCorrupt, "its disk id is too short"};
  Result<uint64_t> version = decode_index_format(format);
  if (!version) return version.status();
  format_version_ = *version;
  return Status::ok();
}

Status IndexDb::check_or_write_identity(uint64_t disk_id, const std::string& beside) {
  bool found = false;
  SHIMA_RETURN_IF_ERROR(read_identity(found));
  if (found && disk_id_ != disk_id) {
    return {Code::kCorrupt, "it belongs to disk " + std::to_string(disk_id_) + ", this is disk " +
                                std::to_string(disk_id) + "; mount the right disk"};
  }
  if (found) return Status::ok();
  if (!beside.empty()) return index_was_lost(beside);
  disk_id_ = disk_id;
  std::string id;
  append_little_endian(id, disk_id);
  rocksdb::WriteBatch batch;
  batch.Put(disk_values(), "format", encode_index_format());
  batch.Put(disk_values(), "disk_id", id);
  return write_synced(batch);
}

Status IndexDb::raise_format() {
  rocksdb::WriteBatch batch;
  batch.Put(disk_values(), "format", encode_index_format());
  SHIMA_RETURN_IF_ERROR(write_synced(batch));
  format_version_ = kIndexFormatVersion;
  return Status::ok();
}

Status IndexDb::write_with(rocksdb::WriteBatch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  // On a full disk RocksDB refuses all writes until it finds space again, which it looks for every 5 s.
  return from_rocksdb(db_->Write(options, &batch), "writing");
}

Status IndexDb::write_synced(rocksdb::WriteBatch& batch) {
  const Status written = write_with(batch, true);
  if (written.is_ok() || written.code() == Code::kNoSpace) return written;
  check_failed("write and sync of the index", written.message(), __FILE__, __LINE__);
}

}  // namespace shima
