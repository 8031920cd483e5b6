#include "tests/tools/numbered_piece.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "common/types/crc32c.h"

namespace shima {
namespace {

constexpr char kMagic[8] = {'S', 'H', 'I', 'M', 'A', 'P', 'C', 'E'};
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderSize = 40;  // magic, u32 version, u32 zero, u64 stream, u64 offset, u64 number
constexpr size_t kChecksumAt = kPieceSize - 4;

uint64_t number_at(const uint8_t* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

void fill(uint8_t* out, const PieceName& name) {
  std::mt19937_64 random(name.stream ^ name.number * 0x9e3779b97f4a7c15ull ^ name.offset);
  for (size_t at = 0; at < kPieceSize; at += 8) {
    uint64_t word = random();
    std::memcpy(out + at, &word, 8);
  }
  std::memset(out, 0, kHeaderSize);
  std::memcpy(out, kMagic, 8);
  std::memcpy(out + 8, &kVersion, 4);
  std::memcpy(out + 16, &name.stream, 8);
  std::memcpy(out + 24, &name.offset, 8);
  std::memcpy(out + 32, &name.number, 8);
  uint32_t crc = crc32c({out, kChecksumAt});
  std::memcpy(out + kChecksumAt, &crc, 4);
}

}  // namespace

Buffer make_piece(const PieceName& name) {
  return Buffer::make(kPieceSize, [&](uint8_t* out) { fill(out, name); });
}

Result<uint64_t> number_of(std::span<const uint8_t> piece, uint64_t stream, uint64_t offset) {
  if (std::all_of(piece.begin(), piece.end(), [](uint8_t byte) { return byte == 0; })) return uint64_t{0};
  auto bad = [&](const std::string& what) {
    return Status(Code::kCorrupt, "offset " + std::to_string(offset) + ": " + what);
  };
  if (piece.size() != kPieceSize || std::memcmp(piece.data(), kMagic, 8) != 0)
    return bad("neither zeros nor a numbered piece");
  uint32_t crc, version;
  std::memcpy(&crc, piece.data() + kChecksumAt, 4);
  std::memcpy(&version, piece.data() + 8, 4);
  if (version != kVersion) return bad("a piece of version " + std::to_string(version) + ", wanted version 1");
  if (crc != crc32c({piece.data(), kChecksumAt})) return bad("a torn piece: its checksum is wrong");
  if (number_at(piece.data() + 16) != stream) return bad("a piece of another stream");
  if (number_at(piece.data() + 24) != offset)
    return bad("a piece that was written for offset " + std::to_string(number_at(piece.data() + 24)));
  return number_at(piece.data() + 32);
}

}  // namespace shima
