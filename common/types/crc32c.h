// crc32c (Castagnoli), the checksum of every byte of Shima: frames, journal records, each 4 KiB of a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace shima {

inline constexpr uint32_t kChunkSize = 4096;  // bytes under one checksum; records cover whole chunks

// crc32c of `bytes`, continued from `seed` (the crc of what came before; 0 at the start).
uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed = 0);

// Number of checksums for `bytes` bytes: one for each 4 KiB, the last of which may be shorter.
constexpr size_t chunk_count(uint64_t bytes) { return (bytes + kChunkSize - 1) / kChunkSize; }

// One checksum for each 4 KiB of `bytes`; the last one covers what is left.
std::vector<uint32_t> chunk_checksums(std::span<const uint8_t> bytes);

// True if each 4 KiB of `bytes`, the last of which may be shorter, has the checksum that `expected` holds for
// it, and there are no others.
bool chunks_match(std::span<const uint8_t> bytes, std::span<const uint32_t> expected);

}  // namespace shima
