// crc32c (Castagnoli), the checksum of every byte of Shima: frames, journal records, each 4 KiB of a block.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shima {

inline constexpr uint32_t kChunkSize = 4096;  // bytes under one checksum; records cover whole chunks

// crc32c of `bytes`, continued from `seed` (the crc of what came before; 0 at the start).
uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed = 0);

// One checksum for each 4 KiB of `bytes`; its size must be a multiple of kChunkSize.
std::vector<uint32_t> chunk_checksums(std::span<const uint8_t> bytes);

// True if each 4 KiB of `bytes` has the checksum that `expected` holds for it.
bool chunks_match(std::span<const uint8_t> bytes, std::span<const uint32_t> expected);

}  // namespace shima
