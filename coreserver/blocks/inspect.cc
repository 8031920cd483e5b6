#include "coreserver/blocks/inspect.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"
#include "coreserver/blocks/data_files.h"
#include "coreserver/blocks/index_db.h"
#include "coreserver/blocks/index_entry.h"
#include "coreserver/blocks/present_read.h"

namespace shima {
namespace {

constexpr int kLooksAtABadBlock = 4;

// The index and the data files, opened one after the other.
struct View {
  std::unique_ptr<IndexDb> index;
  std::unique_ptr<DataFiles> files;
};

Result<View> open_view(Disk& disk, const std::string& directory) {
  auto index = IndexDb::open_to_look(directory + "/index");
  if (!index) return index.status();
  auto files = DataFiles::open_to_look(disk, directory + "/blocks", (*index)->disk_id());
  if (!files) return files.status();
  return View{std::move(*index), std::move(*files)};
}

bool is_good(const View& view, const IndexEntry& entry) {
  if (!view.files->has(entry.slot, entry.block_size)) return false;
  return read_present(*view.files, &entry, 0, entry.block_size).is_ok();
}

using Groups = std::map<GroupId, GroupContents>;

Status read_blocks(const View& view, const InspectOptions& options, Groups& groups) {
  const std::string prefix = options.only ? encode_group_key(*options.only) : "";
  std::unique_ptr<rocksdb::Iterator> it(view.index->db().NewIterator({}, view.index->blocks()));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    auto key = decode_block_key(it->key().ToStringView());
    if (!key) return key.status();
    auto entry = decode_index_entry(it->value().ToStringView());
    if (!entry) return entry.status().with_context(describe(*key));
    GroupContents& group = groups[key->group];
    group.blocks++;
    group.present_bytes += entry->present_bytes();
    group.newest = std::max(group.newest, entry->version);
    if (options.verify && !is_good(view, *entry)) group.bad_blocks.push_back(*key);
  }
  return from_rocksdb(it->status(), "scanning the blocks");
}

Status read_checkpoints(const View& view, const InspectOptions& options, Groups& groups) {
  std::unique_ptr<rocksdb::Iterator> it(view.index->db().NewIterator({}, view.index->groups()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    auto group = decode_group_key(it->key().ToStringView());
    if (!group) return group.status();
    if (!options.only || *options.only == *group) groups[*group].checkpoint_bytes = it->value().size();
  }
  return from_rocksdb(it->status(), "reading the checkpoints");
}

uint32_t checksum_with_length(std::string_view bytes, uint32_t seed) {
  std::string length;
  append_little_endian<uint32_t>(length, static_cast<uint32_t>(bytes.size()));
  auto span_of = [](std::string_view s) {
    return std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size());
  };
  return crc32c(span_of(bytes), crc32c(span_of(length), seed));
}

// After read_checkpoints(): every group has one.
Status read_keys(const View& view, const InspectOptions& options, Groups& groups) {
  if (!view.index->has_metadata()) return Status::ok();
  const KvStore store(view.index->db(), *view.index->metadata());
  for (auto& [id, group] : groups) {
    auto usage = store.usage(id);
    if (!usage) return usage.status();
    group.kv = *usage;
    if (!options.verify || usage->keys == 0) continue;
    SHIMA_RETURN_IF_ERROR(store.scan(id, "", "", [&](std::string_view key, std::string_view value) {
      group.kv_checksum = checksum_with_length(value, checksum_with_length(key, group.kv_checksum));
      return true;
    }));
  }
  return Status::ok();
}

// Leaves in `bad` the blocks that are bad at every look with a fresh view: the others were only being
// changed.
Status look_again(Disk& disk, const std::string& directory, std::vector<BlockKey>& bad) {
  for (int look = 1; look < kLooksAtABadBlock && !bad.empty(); look++) {
    auto view = open_view(disk, directory);
    if (!view) return view.status();
    std::vector<BlockKey> still_bad;
    for (const BlockKey& key : bad) {
      std::string value;
      const rocksdb::Status got =
          view->index->db().Get({}, view->index->blocks(), encode_block_key(key), &value);
      if (got.IsNotFound()) continue;
      if (!got.ok()) return from_rocksdb(got, "reading the entry of " + describe(key));
      auto entry = decode_index_entry(value);
      if (!entry || !is_good(*view, *entry)) still_bad.push_back(key);
    }
    bad = std::move(still_bad);
  }
  return Status::ok();
}

}  // namespace

Result<GroupId> parse_group(std::string_view text) {
  GroupId group;
  const char* const end = text.data() + text.size();
  const auto volume = std::from_chars(text.data(), end, group.volume.value);
  if (volume.ec == std::errc() && volume.ptr != end && *volume.ptr == '/') {
    const auto index = std::from_chars(volume.ptr + 1, end, group.index.value);
    if (index.ec == std::errc() && index.ptr == end) return group;
  }
  return Status(
      Code::kInvalidArgument,
      "\"" + std::string(text) + "\" is not a group; write VOLUME/GROUP as two numbers, such as 17/3");
}

Result<Inspection> inspect_blocks(Disk& disk, const std::string& directory, const InspectOptions& options) {
  auto view = open_view(disk, directory);
  if (!view) return view.status();
  Groups groups;
  SHIMA_RETURN_IF_ERROR(read_blocks(*view, options, groups));
  SHIMA_RETURN_IF_ERROR(read_checkpoints(*view, options, groups));
  SHIMA_RETURN_IF_ERROR(read_keys(*view, options, groups));
  Inspection inspection{view->index->disk_id(), options.verify, {}};
  for (auto& [id, group] : groups) {
    group.group = id;
    SHIMA_RETURN_IF_ERROR(look_again(disk, directory, group.bad_blocks));
    inspection.groups.push_back(std::move(group));
  }
  return inspection;
}

}  // namespace shima
