#include "common/types/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace shima {
namespace {

std::span<const uint8_t> chunk_of(std::span<const uint8_t> bytes, size_t i) {
  return bytes.subspan(i * kChunkSize, std::min<size_t>(kChunkSize, bytes.size() - i * kChunkSize));
}

}  // namespace

uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed) {
  if (bytes.empty()) return seed;
  return ~crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), ~seed);
}

std::vector<uint32_t> chunk_checksums(std::span<const uint8_t> bytes) {
  std::vector<uint32_t> crcs(chunk_count(bytes.size()));
  for (size_t i = 0; i < crcs.size(); i++) crcs[i] = crc32c(chunk_of(bytes, i));
  return crcs;
}

bool chunks_match(std::span<const uint8_t> bytes, std::span<const uint32_t> expected) {
  if (chunk_count(bytes.size()) != expected.size()) return false;
  for (size_t i = 0; i < expected.size(); i++) {
    if (crc32c(chunk_of(bytes, i)) != expected[i]) return false;
  }
  return true;
}

}  // namespace shima
