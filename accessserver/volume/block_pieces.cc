#include "accessserver/volume/block_pieces.h"

#include <algorithm>

#include "common/types/crc32c.h"

namespace shima {

std::vector<BlockPiece> cut_at_blocks(uint64_t offset, uint64_t length, uint32_t block_size) {
  std::vector<BlockPiece> pieces;
  uint64_t done = 0;
  while (done < length) {
    uint64_t at = offset + done;
    auto in_block = static_cast<uint32_t>(at % block_size);
    auto size = static_cast<uint32_t>(std::min<uint64_t>(block_size - in_block, length - done));
    pieces.push_back({BlockIndex(at / block_size), in_block, size, done});
    done += size;
  }
  return pieces;
}

BlockPiece whole_chunks(const BlockPiece& piece) {
  uint32_t begin = piece.offset / kChunkSize * kChunkSize;
  uint32_t end = (piece.offset + piece.length + kChunkSize - 1) / kChunkSize * kChunkSize;
  return {piece.block, begin, end - begin, 0};
}

}  // namespace shima
