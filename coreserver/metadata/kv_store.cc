#include "coreserver/metadata/kv_store.h"

#include <rocksdb/db.h>

#include <map>
#include <memory>
#include <vector>

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"
#include "coreserver/blocks/rocksdb_status.h"
#include "coreserver/jobs/kv_view.h"
#include "coreserver/metadata/kv_family.h"

namespace shima {
namespace {

constexpr size_t kGroupBytes = 12;
constexpr uint8_t kUsageVersion = 1;

std::string group_prefix(GroupId group) {
  std::string prefix;
  append_big_endian(prefix, group.volume.value);
  append_big_endian(prefix, group.index.value);
  return prefix;
}

// The first key behind all that begin with `prefix`.
std::string end_of(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::string(4 * kGroupBytes, '\xff');  // of a group that nobody makes
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

std::string encode_usage(const KvUsage& usage) {
  std::string out;
  append_little_endian(out, kUsageVersion);
  append_little_endian(out, usage.keys);
  append_little_endian(out, usage.bytes);
  return out;
}

Result<KvUsage> decode_usage(std::string_view value) {
  KvUsage usage;
  uint8_t version = 0;
  if (!take_little_endian(value, version) || version != kUsageVersion ||
      !take_little_endian(value, usage.keys) || !take_little_endian(value, usage.bytes) || !value.empty()) {
    return Status(Code::kCorrupt, "the usage of a metadata group is damaged; this disk must be replaced");
  }
  return usage;
}

// What the records change in the end; the last change of a key wins.
using Changes = std::map<std::string, std::optional<std::string>>;

Status gather(GroupId group, const Record& record, Changes& changes) {
  const RecordHeader& h = record.header;
  auto name = [&] { return "record " + to_string(h.position) + " of group " + to_string(h.group); };
  if (h.group != group)
    return {Code::kInvalidArgument,
            name() + " was given to group " + to_string(group) + "; it must go to its own"};
  if (h.kind == RecordKind::kNoop) return Status::ok();
  if (h.kind != RecordKind::kBatch) {
    return {Code::kInvalidArgument, name() + " has the kind " + std::to_string(static_cast<int>(h.kind)) +
                                        "; a metadata group takes batches only"};
  }
  if (record.payload.size() != h.length || !chunks_match(record.payload.span(), h.checksums)) {
    return {Code::kCorrupt,
            name() + " does not match its checksums and was not applied; read it from another member"};
  }
  auto batch = decode_kv_batch({reinterpret_cast<const char*>(record.payload.data()), record.payload.size()});
  if (!batch) return batch.status().with_context(name());
  for (KvChange& change : *batch) {
    if (change.key.empty()) return {Code::kCorrupt, name() + " changes a key without a name"};
    changes.insert_or_assign(std::move(change.key), std::move(change.value));
  }
  return Status::ok();
}

// Takes from `usage` what the keys had in the store before.
Status subtract_old(rocksdb::DB& db, rocksdb::ColumnFamilyHandle& family,
                    const std::vector<std::string>& keys, KvUsage& usage) {
  std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> found(keys.size());
  db.MultiGet({}, &family, keys.size(), slices.data(), values.data(), found.data(), true);
  for (size_t i = 0; i < keys.size(); i++) {
    if (found[i].IsNotFound()) continue;
    if (!found[i].ok()) return from_rocksdb(found[i], "reading metadata");
    usage.keys--;
    usage.bytes -= keys[i].size() - kGroupBytes + values[i].size();
  }
  return Status::ok();
}

}  // namespace

Status KvStore::apply(GroupId group, std::span<const RecordPtr> records) {
  Changes changes;
  for (const RecordPtr& record : records) SHIMA_RETURN_IF_ERROR(gather(group, *record, changes));
  if (changes.empty()) return Status::ok();
  auto usage = this->usage(group);
  if (!usage) return usage.status();

  const std::string prefix = group_prefix(group);
  std::vector<std::string> keys;
  keys.reserve(changes.size());
  for (const auto& [key, value] : changes) keys.push_back(prefix + key);
  SHIMA_RETURN_IF_ERROR(subtract_old(db_, family_, keys, *usage));

  rocksdb::WriteBatch batch;
  rocksdb::Status added;
  size_t at = 0;
  for (const auto& [key, value] : changes) {
    const std::string& stored_key = keys[at++];
    if (added.ok())
      added = value ? batch.Put(&family_, stored_key, *value) : batch.Delete(&family_, stored_key);
    if (!value) continue;
    usage->keys++;
    usage->bytes += key.size() + value->size();
  }
  if (added.ok()) added = batch.Put(&family_, prefix, encode_usage(*usage));
  if (!added.ok()) return from_rocksdb(added, "making a batch of metadata");
  return from_rocksdb(db_.Write({}, &batch), "writing metadata");
}

Result<std::optional<std::string>> KvStore::get(GroupId group, std::string_view key) const {
  if (key.empty()) return std::optional<std::string>();
  std::string value;
  const rocksdb::Status got = db_.Get({}, &family_, group_prefix(group).append(key), &value);
  if (got.IsNotFound()) return std::optional<std::string>();
  if (!got.ok()) return from_rocksdb(got, "reading metadata");
  return std::optional<std::string>(std::move(value));
}

Status KvStore::scan(GroupId group, std::string_view prefix, std::string_view from,
                     const Visit& visit) const {
  const std::string full_prefix = group_prefix(group).append(prefix);
  const std::string start = from > prefix ? group_prefix(group).append(from) : full_prefix;
  if (!start.starts_with(full_prefix)) return Status::ok();  // behind them all
  const std::string end = end_of(full_prefix);
  const rocksdb::Slice end_slice(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end_slice;
  // Filters help where all keys of the scan share the filtered prefix; else they would hide keys.
  options.total_order_seek = full_prefix.size() < kFilteredPrefixBytes;
  options.prefix_same_as_start = !options.total_order_seek;
  std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options, &family_));
  for (it->Seek(start); it->Valid(); it->Next()) {
    std::string_view key = it->key().ToStringView().substr(kGroupBytes);
    if (key.empty()) continue;  // the group's usage
    if (!visit(key, it->value().ToStringView())) break;
  }
  return from_rocksdb(it->status(), "scanning metadata");
}

Status KvStore::delete_group(GroupId group) {
  const std::string prefix = group_prefix(group);
  rocksdb::WriteBatch batch;
  const rocksdb::Status added = batch.DeleteRange(&family_, prefix, end_of(prefix));
  if (!added.ok()) return from_rocksdb(added, "making a batch of metadata");
  return from_rocksdb(db_.Write({}, &batch), "deleting metadata");
}

Result<KvUsage> KvStore::usage(GroupId group) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = db_.Get({}, &family_, group_prefix(group), &value);
  if (got.IsNotFound()) return KvUsage();
  if (!got.ok()) return from_rocksdb(got, "reading the usage of metadata");
  return decode_usage(value.ToStringView());
}

Result<std::pair<std::string, std::string>> KvStore::read_batch(GroupId group, std::string_view after_key,
                                                                uint64_t max_bytes) const {
  KvBatch batch;
  uint64_t bytes = 0;
  SHIMA_RETURN_IF_ERROR(scan(group, "", after_key, [&](std::string_view key, std::string_view value) {
    if (key == after_key) return true;
    const uint64_t cost = 9 + key.size() + value.size();
    if (!batch.empty() && bytes + cost > max_bytes) return false;
    batch.push_back({std::string(key), std::string(value)});
    bytes += cost;
    return true;
  }));
  if (batch.empty()) return std::pair<std::string, std::string>();
  return std::pair(encode_kv_batch(batch), batch.back().key);
}

}  // namespace shima
