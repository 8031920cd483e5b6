// A 4 KiB piece that says of itself what it is: magic, version, stream, offset, number; the rest follows from
// these, and a crc32c is over all. So a reader can tell an old piece from a torn or a misplaced one.
#pragma once

#include <cstdint>

#include "common/status/status.h"
#include "common/types/buffer.h"

namespace shima {

inline constexpr uint32_t kPieceSize = 4096;  // bytes

struct PieceName {
  uint64_t stream = 0;  // the same in all pieces of one log
  uint64_t offset = 0;  // bytes, in the volume
  uint64_t number = 0;  // counts the writes of a stream, from 1; 0: never written
};

Buffer make_piece(const PieceName& name);

// The number of the piece found at `offset`; 0 where all bytes are zero. kCorrupt: neither zeros nor a whole
// piece of this stream and place.
Result<uint64_t> number_of(std::span<const uint8_t> piece, uint64_t stream, uint64_t offset);

}  // namespace shima
