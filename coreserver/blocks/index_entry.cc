#include "coreserver/blocks/index_entry.h"

#include <algorithm>

#include "common/types/byte_order.h"

namespace shima {
namespace {

constexpr uint16_t kMagic = 0x4253;  // "SB"
constexpr uint8_t kVersion = 1;

uint32_t checksum_of(std::string_view bytes) {
  return crc32c({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

Status bad_value(const std::string& what) {
  return {Code::kCorrupt, "an index value is damaged: " + what + "; this disk must be replaced or resynced"};
}

// Reads the fixed fields and checks them; leaves `in` at the bitmap.
Status take_fixed_fields(std::string_view& in, IndexEntry& entry) {
  uint16_t magic;
  uint8_t version, reserved;
  if (!take_little_endian(in, magic) || !take_little_endian(in, version) ||
      !take_little_endian(in, reserved) || !take_little_endian(in, entry.slot.file) ||
      !take_little_endian(in, entry.slot.number) || !take_little_endian(in, entry.block_size) ||
      !take_little_endian(in, entry.version.term.value) ||
      !take_little_endian(in, entry.version.sequence.value)) {
    return bad_value("it ends within its fixed fields");
  }
  if (magic != kMagic) return bad_value("its magic is " + std::to_string(magic));
  if (version != kVersion || reserved != 0) {
    return bad_value("its format version is " + std::to_string(version) + ", this program knows " +
                     std::to_string(kVersion));
  }
  if (!is_block_size(entry.block_size)) return bad_value("block size " + std::to_string(entry.block_size));
  return Status::ok();
}

Status take_chunks(std::string_view& in, IndexEntry& entry) {
  const size_t chunks = entry.block_size / kChunkSize;
  const size_t bitmap_bytes = (chunks + 7) / 8;
  if (in.size() < bitmap_bytes) return bad_value("it ends within its bitmap");
  const std::string_view bitmap = in.substr(0, bitmap_bytes);
  in.remove_prefix(bitmap_bytes);
  entry.checksums.assign(chunks, kZeroChunkChecksum);
  entry.present.assign(chunks, false);
  for (size_t i = 0; i < bitmap_bytes * 8; i++) {
    if (!(static_cast<uint8_t>(bitmap[i / 8]) >> (i % 8) & 1)) continue;
    if (i >= chunks) return bad_value("its bitmap names chunks beyond the block");
    uint32_t checksum;
    if (!take_little_endian(in, checksum)) return bad_value("it ends within its checksums");
    entry.set_present(i, checksum);
  }
  return Status::ok();
}

}  // namespace

IndexEntry IndexEntry::all_holes(uint32_t block_size) {
  IndexEntry entry;
  entry.block_size = block_size;
  entry.checksums.assign(block_size / kChunkSize, kZeroChunkChecksum);
  entry.present.assign(block_size / kChunkSize, false);
  return entry;
}

uint32_t IndexEntry::present_bytes() const {
  return static_cast<uint32_t>(std::count(present.begin(), present.end(), true)) * kChunkSize;
}

std::string encode_index_entry(const IndexEntry& entry) {
  std::string out;
  out.reserve(40 + entry.chunk_count() / 8 + 4 * entry.chunk_count());
  append_little_endian(out, kMagic);
  append_little_endian(out, kVersion);
  append_little_endian(out, uint8_t{0});
  append_little_endian(out, entry.slot.file);
  append_little_endian(out, entry.slot.number);
  append_little_endian(out, entry.block_size);
  append_little_endian(out, entry.version.term.value);
  append_little_endian(out, entry.version.sequence.value);
  const size_t bitmap_at = out.size();
  out.resize(bitmap_at + (entry.chunk_count() + 7) / 8, '\0');
  for (size_t i = 0; i < entry.chunk_count(); i++) {
    if (!entry.present[i]) continue;
    out[bitmap_at + i / 8] = static_cast<char>(static_cast<uint8_t>(out[bitmap_at + i / 8]) | 1u << (i % 8));
    append_little_endian(out, entry.checksums[i]);
  }
  append_little_endian(out, checksum_of(out));
  return out;
}

Result<IndexEntry> decode_index_entry(std::string_view value) {
  if (value.size() < 4) return bad_value("it is shorter than its checksum");
  std::string_view body = value.substr(0, value.size() - 4);
  std::string_view tail = value.substr(value.size() - 4);
  IndexEntry entry;
  std::string_view in = body;
  SHIMA_RETURN_IF_ERROR(take_fixed_fields(in, entry));
  SHIMA_RETURN_IF_ERROR(take_chunks(in, entry));
  if (!in.empty()) return bad_value(std::to_string(in.size()) + " bytes follow its end");
  uint32_t expected;
  if (!take_little_endian(tail, expected) || expected != checksum_of(body)) {
    return bad_value("its checksum does not match");
  }
  return entry;
}

std::string encode_group_key(GroupId group) {
  std::string key;
  append_big_endian(key, group.volume.value);
  append_big_endian(key, group.index.value);
  return key;
}

Result<GroupId> decode_group_key(std::string_view key) {
  GroupId group;
  if (!take_big_endian(key, group.volume.value) || !take_big_endian(key, group.index.value) || !key.empty()) {
    return Status(Code::kCorrupt, "a group key of the index has a wrong length; this disk must be replaced");
  }
  return group;
}

std::string encode_inode_prefix(GroupId group, InodeId inode) {
  std::string key = encode_group_key(group);
  append_big_endian(key, inode.value);
  return key;
}

std::string encode_block_key(const BlockKey& key) {
  std::string out = encode_inode_prefix(key.group, key.inode);
  append_big_endian(out, key.block.value);
  return out;
}

Result<BlockKey> decode_block_key(std::string_view bytes) {
  BlockKey key;
  if (!take_big_endian(bytes, key.group.volume.value) || !take_big_endian(bytes, key.group.index.value) ||
      !take_big_endian(bytes, key.inode.value) || !take_big_endian(bytes, key.block.value) ||
      !bytes.empty()) {
    return Status(Code::kCorrupt, "a block key of the index has a wrong length; this disk must be replaced");
  }
  return key;
}

std::string describe(const BlockKey& key) {
  return "volume " + std::to_string(key.group.volume.value) + ", group " +
         std::to_string(key.group.index.value) + ", inode " + std::to_string(key.inode.value) + ", block " +
         std::to_string(key.block.value);
}

}  // namespace shima
