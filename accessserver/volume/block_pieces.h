// Cuts a byte range of a file at block borders. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "common/types/ids.h"

namespace shima {

struct BlockPiece {
  BlockIndex block;
  uint32_t offset = 0;        // bytes from the start of the block
  uint32_t length = 0;        // bytes
  uint64_t range_offset = 0;  // where the piece begins in the range that was cut

  bool operator==(const BlockPiece&) const = default;
};

// The pieces of [offset, offset + length), ascending; none for length 0.
std::vector<BlockPiece> cut_at_blocks(uint64_t offset, uint64_t length, uint32_t block_size);

// The smallest run of whole chunks (4 KiB) of the block that holds the piece; range_offset is meaningless
// then.
BlockPiece whole_chunks(const BlockPiece& piece);

}  // namespace shima
