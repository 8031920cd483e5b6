#include "common/types/crc32c.h"

#include <isa-l/crc.h>

namespace shima {

uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed) {
  if (bytes.empty()) return seed;
  return ~crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), ~seed);
}

std::vector<uint32_t> chunk_checksums(std::span<const uint8_t> bytes) {
  std::vector<uint32_t> crcs(bytes.size() / kChunkSize);
  for (size_t i = 0; i < crcs.size(); i++) crcs[i] = crc32c(bytes.subspan(i * kChunkSize, kChunkSize));
  return crcs;
}

bool chunks_match(std::span<const uint8_t> bytes, std::span<const uint32_t> expected) {
  if (bytes.size() != expected.size() * kChunkSize) return false;
  for (size_t i = 0; i < expected.size(); i++) {
    if (crc32c(bytes.subspan(i * kChunkSize, kChunkSize)) != expected[i]) return false;
  }
  return true;
}

}  // namespace shima
