#include "common/transport/frame.h"

#include <bit>
#include <cstring>

#include "common/types/crc32c.h"

namespace shima {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is written with plain copies");

constexpr uint8_t kMagic[4] = {'S', 'H', 'M', 'F'};

template <typename T>
void put(PrefixBytes& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <typename T>
T get(std::span<const uint8_t, kFramePrefixSize> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::span<const uint8_t> bytes_of(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

Status wrong(std::string what) { return {Code::kCorrupt, "not a frame of Shima: " + std::move(what)}; }

}  // namespace

PrefixBytes encode_frame_prefix(const FramePrefix& prefix) {
  PrefixBytes bytes{};
  std::memcpy(bytes.data(), kMagic, sizeof kMagic);
  bytes[4] = kFrameVersion;
  put(bytes, 8, prefix.id);
  put(bytes, 16, prefix.header_size);
  put(bytes, 20, prefix.payload_size);
  put(bytes, 24, prefix.header_crc);
  put(bytes, 28, crc32c(std::span(bytes).first(28)));
  return bytes;
}

PrefixBytes encode_frame_prefix(const Frame& frame) {
  size_t payload = frame.payload_size();
  SHIMA_CHECK(frame.header.size() <= kMaxFrameHeader, "a frame's header is longer than 256 KiB");
  SHIMA_CHECK(payload <= kMaxFramePayload, "a frame's payload is longer than 16 MiB");
  return encode_frame_prefix({.id = frame.id,
                              .header_size = static_cast<uint32_t>(frame.header.size()),
                              .payload_size = static_cast<uint32_t>(payload),
                              .header_crc = crc32c(bytes_of(frame.header))});
}

Result<FramePrefix> decode_frame_prefix(std::span<const uint8_t, kFramePrefixSize> bytes) {
  if (std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    return wrong("wanted the magic SHMF; is the other side a core server's data port?");
  }
  if (get<uint32_t>(bytes, 28) != crc32c(bytes.first(28))) return wrong("the prefix's checksum is wrong");
  if (bytes[4] != kFrameVersion) {
    return wrong("wanted version " + std::to_string(kFrameVersion) + ", found " + std::to_string(bytes[4]) +
                 "; upgrade the older side");
  }
  if (bytes[5] != 0 || get<uint16_t>(bytes, 6) != 0) return wrong("unknown flags; upgrade this side");
  FramePrefix prefix{.id = get<uint64_t>(bytes, 8),
                     .header_size = get<uint32_t>(bytes, 16),
                     .payload_size = get<uint32_t>(bytes, 20),
                     .header_crc = get<uint32_t>(bytes, 24)};
  if (prefix.header_size > kMaxFrameHeader || prefix.payload_size > kMaxFramePayload) {
    return wrong("header of " + std::to_string(prefix.header_size) + " and payload of " +
                 std::to_string(prefix.payload_size) + " bytes; 262144 and 16777216 are allowed");
  }
  return prefix;
}

Status verify_payload(std::span<const uint8_t> payload, std::span<const uint32_t> checksums) {
  bool matches = false;
  if (payload.size() % kChunkSize == 0 && checksums.size() == payload.size() / kChunkSize) {
    matches = chunks_match(payload, checksums);
  } else if (checksums.size() == 1) {
    matches = crc32c(payload) == checksums[0];
  } else {
    return {Code::kInvalidArgument, std::to_string(checksums.size()) + " checksums came with a payload of " +
                                        std::to_string(payload.size()) +
                                        " bytes; wanted one for each 4096 bytes, or one for all"};
  }
  if (matches) return {};
  return {Code::kCorrupt, "the checksum of a payload of " + std::to_string(payload.size()) +
                              " bytes is wrong; send it again"};
}

}  // namespace shima
