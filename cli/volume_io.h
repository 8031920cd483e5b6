// The operations of a volume that transfers need: VolumeClient's, or a test's own.
#pragma once

#include <cstdint>
#include <functional>

#include "common/status/status.h"
#include "common/types/buffer.h"

namespace shima {

using IoDone = std::function<void(Status)>;
using ReadDone = std::function<void(Status, Buffer)>;

// All return at once and call back later, from any thread.
using ReadOperation = std::function<void(uint64_t offset, uint64_t length, ReadDone done)>;

struct VolumeWrites {
  std::function<void(uint64_t offset, Buffer bytes, IoDone done)> write;
  std::function<void(uint64_t offset, uint64_t length, IoDone done)> punch;
};

struct TransferLimits {
  uint64_t piece_bytes = 1u << 20;  // of one read or write; pieces begin at multiples of it
  size_t in_flight = 32;            // pieces
};

inline constexpr uint64_t kZeroPiece = 64u << 10;  // bytes: all zero, they are a hole

bool all_zero(std::span<const uint8_t> bytes);

}  // namespace shima
