// Where data and holes are, for SEEK_DATA and SEEK_HOLE: looks in the index only.
#include <algorithm>

#include "coreserver/blocks/rocks_block_store.h"

namespace shima {
namespace {

// The first chunk at or behind `offset` that is present or is not, as wanted: the first byte of it that is
// not before `offset`. None: there is no such chunk.
std::optional<uint32_t> find_chunk(const IndexEntry& entry, uint32_t offset, bool present) {
  for (size_t i = offset / kChunkSize; i < entry.chunk_count(); i++) {
    if (entry.present[i] == present) return std::max(offset, static_cast<uint32_t>(i * kChunkSize));
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<std::pair<BlockIndex, uint32_t>>> RocksBlockStore::next_present(GroupId group,
                                                                                     InodeId inode,
                                                                                     BlockIndex from,
                                                                                     uint32_t offset) {
  std::optional<std::pair<BlockIndex, uint32_t>> found;
  const std::string start = encode_block_key({group, inode, from});
  SHIMA_RETURN_IF_ERROR(scan(encode_inode_prefix(group, inode), start,
                             [&](const BlockKey& key, IndexEntry&& entry) -> Result<bool> {
                               auto at = find_chunk(entry, key.block == from ? offset : 0, true);
                               if (at) found.emplace(key.block, *at);
                               return !at.has_value();
                             }));
  return found;
}

Result<uint32_t> RocksBlockStore::next_hole(const BlockKey& key, uint32_t offset, uint32_t block_size) {
  if (offset >= block_size) return block_size;
  std::shared_lock lock(stripes_.of(key));
  auto entry = load(key);
  if (!entry) return entry.status();
  if (!*entry) return offset;
  return std::min(block_size, find_chunk(**entry, offset, false).value_or(block_size));
}

}  // namespace shima
