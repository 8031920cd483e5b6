// IndexEntry: what the index knows of one block: its slot, its version, and which chunks are there with which
// checksum. Also the keys of the index.
//
// Key of a block: volume (8 bytes), group (4), inode (8), block (8), all big-endian, so that a group's blocks
// lie together in order. Value, little-endian: magic (2 bytes), version (1), reserved 0 (1), slot file (4),
// slot number (4), block size (4), term (8), sequence (8), presence bitmap (1 bit a chunk), crc32c of each
// present chunk (4 each), crc32c of all that precedes (4).
//
// Decoding trusts nothing: every length and bound is checked, and a wrong value is kCorrupt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"
#include "common/types/crc32c.h"
#include "coreserver/blocks/block_store.h"

namespace shima {

inline constexpr uint32_t kZeroChunkChecksum = 0x98f94189;  // crc32c of kChunkSize zero bytes

// A place for one block: slot `number` of data file `file`.
struct SlotId {
  uint32_t file = 0;
  uint32_t number = 0;
  auto operator<=>(const SlotId&) const = default;
};

struct IndexEntry {
  SlotId slot;
  uint32_t block_size = 0;          // bytes; a multiple of kChunkSize
  Position version;                 // of the last record applied
  std::vector<uint32_t> checksums;  // one a chunk; kZeroChunkChecksum for holes
  std::vector<bool> present;        // one a chunk; false: a hole

  static IndexEntry all_holes(uint32_t block_size);

  size_t chunk_count() const { return present.size(); }
  uint32_t present_bytes() const;
  void set_present(size_t chunk, uint32_t checksum) {
    present[chunk] = true;
    checksums[chunk] = checksum;
  }
  void set_hole(size_t chunk) {
    present[chunk] = false;
    checksums[chunk] = kZeroChunkChecksum;
  }
  bool operator==(const IndexEntry&) const = default;
};

// True for sizes that a block may have: whole chunks, up to kMaxBlockSize.
constexpr bool is_block_size(uint32_t bytes) {
  return bytes > 0 && bytes % kChunkSize == 0 && bytes <= kMaxBlockSize;
}

std::string encode_index_entry(const IndexEntry& entry);
Result<IndexEntry> decode_index_entry(std::string_view value);

std::string encode_block_key(const BlockKey& key);
Result<BlockKey> decode_block_key(std::string_view key);
std::string encode_group_key(GroupId group);                    // also the prefix of the group's block keys
std::string encode_inode_prefix(GroupId group, InodeId inode);  // of the inode's block keys
Result<GroupId> decode_group_key(std::string_view key);

// "volume 7, group 3, inode 1, block 42", for messages.
std::string describe(const BlockKey& key);

}  // namespace shima
