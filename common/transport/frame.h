// Frame: the unit of a data stream. On the wire, little-endian:
//
//   offset size
//        0    4  magic, the bytes "SHMF"
//        4    1  version, 1
//        5    1  flags, 0 (none exist yet; unknown ones are refused)
//        6    2  reserved, 0
//        8    8  frame id: replies carry their request's; id 0 with neither header nor payload is a heartbeat
//       16    4  header length, at most 256 KiB
//       20    4  payload length, at most 16 MiB
//       24    4  crc32c of the header bytes
//       28    4  crc32c of bytes 0 to 27
//       32       header (protobuf shima.data.v1.Header), then the payload
//
// The payload's checksums are inside the header; whoever stores or returns the payload verifies them with
// verify_payload(), so that a payload is read once for all hops it takes inside a server.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/types/buffer.h"

namespace shima {

inline constexpr size_t kFramePrefixSize = 32;
inline constexpr uint8_t kFrameVersion = 1;
inline constexpr uint32_t kMaxFrameHeader = 256u << 10;  // bytes
inline constexpr uint32_t kMaxFramePayload = 16u << 20;  // bytes

struct Frame {
  uint64_t id = 0;
  std::string header;  // serialised protobuf
  Buffer payload;
  // For sending only: pieces that follow `payload` and arrive as one payload with it.
  std::vector<Buffer> more_payload;

  size_t payload_size() const {
    size_t size = payload.size();
    for (const Buffer& piece : more_payload) size += piece.size();
    return size;
  }
  bool is_heartbeat() const { return id == 0 && header.empty() && payload_size() == 0; }
};

struct FramePrefix {
  uint64_t id = 0;
  uint32_t header_size = 0;
  uint32_t payload_size = 0;
  uint32_t header_crc = 0;
};

using PrefixBytes = std::array<uint8_t, kFramePrefixSize>;

PrefixBytes encode_frame_prefix(const FramePrefix& prefix);
// The prefix of a frame to be sent; it must be within the limits.
PrefixBytes encode_frame_prefix(const Frame& frame);
// kCorrupt for a wrong magic, checksum, version, flag or length.
Result<FramePrefix> decode_frame_prefix(std::span<const uint8_t, kFramePrefixSize> bytes);

// Checks a payload against the checksums of its header: one for each 4 KiB, or one for all of it.
// kCorrupt if it does not match, kInvalidArgument if their number fits neither.
Status verify_payload(std::span<const uint8_t> payload, std::span<const uint32_t> checksums);

}  // namespace shima
