#include "coreserver/blocks/inode_states.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <chrono>

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"
#include "coreserver/blocks/index_entry.h"
#include "coreserver/blocks/rocksdb_status.h"

namespace shima {
namespace {

constexpr uint8_t kVersion = 1;

std::string describe(GroupId group, InodeId inode) {
  return "the state of inode " + std::to_string(inode.value) + " of group " + to_string(group);
}

uint32_t checksum_of(std::string_view bytes) {
  return crc32c({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

class TombstoneFilter : public rocksdb::CompactionFilter {
 public:
  explicit TombstoneFilter(WallClock wall_clock_ns) : wall_clock_ns_(std::move(wall_clock_ns)) {}
  const char* Name() const override { return "shima.Tombstones"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*, bool*) const override {
    auto state = decode_inode_state(value.ToStringView());
    return state && state->fence == kRemovedFence && state->used_bytes == 0 &&
           wall_clock_ns_() - state->mtime_ns > kTombstoneNs;
  }

 private:
  const WallClock wall_clock_ns_;
};

}  // namespace

int64_t system_wall_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void count_record(const RecordHeader& header, InodeState& state) {
  state.fence = std::max(state.fence, header.fence);
  if (header.time_ns != 0) state.mtime_ns = std::max(state.mtime_ns, header.time_ns);
  if (header.position.sequence <= state.newest) return;
  state.newest = header.position.sequence;
  if (header.kind == RecordKind::kWrite || header.kind == RecordKind::kPunch) state.changes++;
}

std::string encode_inode_state(const InodeState& state) {
  std::string out;
  append_little_endian(out, kVersion);
  for (uint64_t v : {state.fence, static_cast<uint64_t>(state.mtime_ns), state.changes, state.used_bytes,
                     state.truncated_fence, state.truncated_at.value, state.newest.value}) {
    append_little_endian(out, v);
  }
  append_little_endian(out, checksum_of(out));
  return out;
}

Result<InodeState> decode_inode_state(std::string_view value) {
  const Status damaged(Code::kCorrupt,
                       "an inode's state in the index is damaged; this disk must be replaced or resynced");
  if (value.size() < 4) return damaged;
  const std::string_view body = value.substr(0, value.size() - 4);
  InodeState state;
  uint8_t version = 0;
  uint64_t mtime = 0;
  bool good = take_little_endian(value, version) && version == kVersion;
  for (uint64_t* v : {&state.fence, &mtime, &state.changes, &state.used_bytes, &state.truncated_fence,
                      &state.truncated_at.value, &state.newest.value}) {
    good = good && take_little_endian(value, *v);
  }
  uint32_t checksum = 0;
  good = good && take_little_endian(value, checksum) && value.empty() && checksum == checksum_of(body);
  if (!good) return damaged;
  state.mtime_ns = static_cast<int64_t>(mtime);
  return state;
}

std::unique_ptr<rocksdb::CompactionFilter> make_tombstone_filter(WallClock wall_clock_ns) {
  return std::make_unique<TombstoneFilter>(std::move(wall_clock_ns));
}

Result<InodeState> InodeStates::load(GroupId group, InodeId inode) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = db_.Get({}, &family_, encode_inode_prefix(group, inode), &value);
  if (got.IsNotFound()) return InodeState();
  if (!got.ok()) return from_rocksdb(got, "reading " + describe(group, inode));
  auto state = decode_inode_state(value.ToStringView());
  if (!state) return state.status().with_context(describe(group, inode));
  return state;
}

Result<InodeState*> InodeStates::load_into(GroupId group, InodeId inode, ByInode& states) const {
  auto found = states.find(inode);
  if (found == states.end()) {
    auto state = load(group, inode);
    if (!state) return state.status();
    found = states.emplace(inode, *state).first;
  }
  return &found->second;
}

Status InodeStates::for_each(GroupId group,
                             const std::function<bool(InodeId, const InodeState&)>& visit) const {
  const std::string prefix = encode_group_key(group);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options, &family_));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    std::string_view key = it->key().ToStringView().substr(prefix.size());
    InodeId inode;
    if (!take_big_endian(key, inode.value) || !key.empty())
      return {Code::kCorrupt, "an inode's key of the index has a wrong length; this disk must be replaced"};
    auto state = decode_inode_state(it->value().ToStringView());
    if (!state) return state.status().with_context(describe(group, inode));
    if (!visit(inode, *state)) break;
  }
  return from_rocksdb(it->status(), "scanning the inodes");
}

Status InodeStates::add_to(rocksdb::WriteBatch& batch, GroupId group, const ByInode& states) const {
  for (const auto& [inode, state] : states) {
    const rocksdb::Status added =
        batch.Put(&family_, encode_inode_prefix(group, inode), encode_inode_state(state));
    if (!added.ok()) return from_rocksdb(added, "making a batch");
  }
  return Status::ok();
}

Status InodeStates::add_deletion_to(rocksdb::WriteBatch& batch, GroupId group) const {
  // Behind the highest key of the group, whose inode is one of 8 bytes.
  const std::string end = encode_group_key(group) + std::string(9, '\xff');
  return from_rocksdb(batch.DeleteRange(&family_, encode_group_key(group), end), "making a batch");
}

}  // namespace shima
