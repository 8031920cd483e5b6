#include "coreserver/journal/segment_format.h"

#include <cstdio>

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"
#include "common/types/record.h"

namespace shima {
namespace {

constexpr std::string_view kSegmentMagic = "SHIMAJNL";
constexpr uint32_t kSegmentVersion = 1;
constexpr size_t kSegmentCrcOffset = 40;
constexpr uint32_t kEntryMagic = 0x454a4853;  // "SHJE"
constexpr uint16_t kEntryVersion = 1;
constexpr size_t kEntryCrcOffset = 48;
constexpr uint8_t kMovedFlag = 1;

Status corrupt(std::string text) { return {Code::kCorrupt, std::move(text)}; }

uint32_t entry_seed(const EntryPlace& place) {
  uint8_t bytes[24];
  std::memcpy(bytes, &place.disk_id, 8);
  std::memcpy(bytes + 8, &place.segment, 8);
  std::memcpy(bytes + 16, &place.offset, 8);
  return crc32c(bytes);
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  append_little_endian<uint32_t>(out, kSegmentVersion);
  append_little_endian<uint32_t>(out, kSegmentHeaderBytes);
  append_little_endian<uint64_t>(out, header.number);
  append_little_endian<uint64_t>(out, header.disk_id);
  append_little_endian<uint64_t>(out, header.bytes);
  append_little_endian<uint32_t>(out, crc32c(as_bytes(out)));
  out.resize(kSegmentHeaderBytes, '\0');
  return out;
}

Status decode_segment_header(std::span<const uint8_t> bytes, SegmentHeader& header) {
  if (bytes.size() < kSegmentHeaderBytes) return corrupt("the file is too short for a segment header");
  if (std::memcmp(bytes.data(), kSegmentMagic.data(), kSegmentMagic.size()) != 0) {
    return corrupt("wanted magic SHIMAJNL, found something else: this is no journal segment");
  }
  NumberReader in(bytes.subspan(kSegmentMagic.size()));
  if (uint32_t version = in.take<uint32_t>(); version != kSegmentVersion) {
    return corrupt("wanted journal version 1, found " + std::to_string(version) +
                   "; use the server that wrote it");
  }
  if (in.take<uint32_t>() != kSegmentHeaderBytes) return corrupt("the segment header has an unknown size");
  header.number = in.take<uint64_t>();
  header.disk_id = in.take<uint64_t>();
  header.bytes = in.take<uint64_t>();
  if (in.take<uint32_t>() != crc32c(bytes.first(kSegmentCrcOffset))) {
    return corrupt("the segment header's checksum is wrong");
  }
  if (header.number == 0 || header.number > UINT32_MAX || header.bytes > kMaxSegmentBytes) {
    return corrupt("the segment header's number or size is out of range");
  }
  return Status::ok();
}

std::string segment_file_name(uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%010llu.shj", static_cast<unsigned long long>(number));
  return name;
}

uint64_t segment_number(const std::string& file_name) {
  if (file_name.size() != 14 || !file_name.ends_with(".shj")) return 0;
  uint64_t number = 0;
  for (char c : file_name.substr(0, 10)) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number <= UINT32_MAX ? number : 0;
}

std::string_view entry_type_name(EntryType type) {
  switch (type) {
    case EntryType::kRecord:
      return "record";
    case EntryType::kTruncate:
      return "truncate";
    case EntryType::kRelease:
      return "release";
    case EntryType::kDrop:
      return "drop";
    case EntryType::kSeal:
      return "seal";
  }
  return "unknown";
}

std::string encode_entry_header(const EntryHeader& h, const EntryPlace& place,
                                std::span<const uint8_t> body) {
  std::string out;
  out.reserve(kEntryHeaderBytes);
  append_little_endian<uint32_t>(out, kEntryMagic);
  append_little_endian<uint16_t>(out, kEntryVersion);
  append_little_endian<uint8_t>(out, static_cast<uint8_t>(h.type));
  append_little_endian<uint8_t>(out, h.moved ? kMovedFlag : 0);
  append_little_endian<uint64_t>(out, place.segment);
  append_little_endian<uint64_t>(out, h.number);
  append_little_endian<uint32_t>(out, h.batch_start);
  append_little_endian<uint32_t>(out, h.total_length);
  append_little_endian<uint32_t>(out, h.body_length);
  append_little_endian<uint32_t>(out, h.payload_length);
  append_little_endian<uint64_t>(out, h.life);
  append_little_endian<uint32_t>(out, crc32c(body, crc32c(as_bytes(out), entry_seed(place))));
  append_little_endian<uint32_t>(out, 0);
  return out;
}

bool parse_entry_header(std::span<const uint8_t> bytes, const EntryPlace& place, EntryHeader& h) {
  NumberReader in(bytes);
  if (in.take<uint32_t>() != kEntryMagic || in.take<uint16_t>() != kEntryVersion) return false;
  uint8_t type = in.take<uint8_t>();
  if (type < static_cast<uint8_t>(EntryType::kRecord) || type > static_cast<uint8_t>(EntryType::kSeal))
    return false;
  h.type = static_cast<EntryType>(type);
  h.moved = (in.take<uint8_t>() & kMovedFlag) != 0;
  if (in.take<uint64_t>() != place.segment) return false;
  h.number = in.take<uint64_t>();
  h.batch_start = in.take<uint32_t>();
  h.total_length = in.take<uint32_t>();
  h.body_length = in.take<uint32_t>();
  h.payload_length = in.take<uint32_t>();
  h.life = in.take<uint64_t>();
  if (!in.good() || h.number == 0 || h.batch_start < kSegmentHeaderBytes || h.batch_start > place.offset)
    return false;
  if (h.body_length > kMaxBodyBytes || h.payload_length > kMaxBlockSize) return false;
  return h.total_length % kEntryAlignment == 0 &&
         h.total_length >= kEntryHeaderBytes + h.body_length + h.payload_length;
}

bool entry_crc_matches(std::span<const uint8_t> bytes, const EntryPlace& place, const EntryHeader& header) {
  uint32_t expected = get_little_endian<uint32_t>(bytes.data() + kEntryCrcOffset);
  uint32_t crc = crc32c(bytes.first(kEntryCrcOffset), entry_seed(place));
  return crc32c(bytes.subspan(kEntryHeaderBytes, header.body_length), crc) == expected;
}

std::string encode_control(const Control& c) {
  std::string out;
  append_little_endian<uint64_t>(out, c.group.volume.value);
  append_little_endian<uint32_t>(out, c.group.index.value);
  append_little_endian<uint64_t>(out, c.sequence.value);
  append_little_endian<uint64_t>(out, c.before);
  return out;
}

bool decode_control(EntryType type, std::span<const uint8_t> body, Control& c) {
  NumberReader in(body);
  c.type = type;
  c.group.volume.value = in.take<uint64_t>();
  c.group.index.value = in.take<uint32_t>();
  c.sequence.value = in.take<uint64_t>();
  c.before = in.take<uint64_t>();
  return in.good() && in.left() == 0;
}

}  // namespace shima
