// The bytes of a journal segment. All numbers are little endian.
//
// Segment header, 4096 bytes at offset 0: magic "SHIMAJNL", u32 version = 1, u32 header size = 4096, u64
// segment number, u64 disk id, u64 segment size in bytes, u32 crc32c of the 40 bytes before it, zeros.
//
// Entry, at a multiple of 64: u32 magic "SHJE", u16 version = 1, u8 type, u8 flags (1: a moved copy), u64
// segment number, u64 entry number (counts the entries of the journal's whole life, so later is always
// higher), u32 offset where its batch began, u32 total length (padding included), u32 body length, u32
// payload length, u64 life, u32 crc32c, u32 zero: 56 bytes; then the body, the payload, and zeros up to the
// total length. Life: the number of the first entry of the group since it was (last) dropped: entries of
// lower lives are void. The crc covers the 48 bytes before it and the body; it is seeded with disk id,
// segment number and the entry's offset, so that a stale entry of a recycled segment, an entry at another
// place and a look-alike inside a payload are all invalid. The payload has a checksum for each 4 KiB in the
// record header. Bodies: record: a record header (record_codec.h). truncate, release, drop: u64 volume, u32
// group, u64 sequence, u64 "before": a truncation means entries with lower entry numbers, a drop lower lives.
// seal: empty; nothing follows it in the segment. A batch (what was made durable by one sync) begins at a
// multiple of 512, so that a torn write never touches a disk sector that holds entries of an earlier batch;
// its last entry's padding reaches to there.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/status/status.h"
#include "common/types/ids.h"

namespace shima {

inline constexpr uint32_t kSegmentHeaderBytes = 4096;
inline constexpr uint32_t kEntryHeaderBytes = 56;
inline constexpr uint32_t kEntryAlignment = 64;
inline constexpr uint32_t kBatchAlignment = 512;
inline constexpr uint32_t kSealReserve =
    512;  // kept free at a segment's end, so that it can always be sealed
inline constexpr uint64_t kMaxSegmentBytes = 1ull << 30;
inline constexpr uint32_t kMaxBodyBytes = 8192;

inline constexpr uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

struct SegmentHeader {
  uint64_t number = 0;  // first is 1; fits 32 bits
  uint64_t disk_id = 0;
  uint64_t bytes = 0;  // of the whole segment
};

std::string encode_segment_header(const SegmentHeader& header);  // kSegmentHeaderBytes
Status decode_segment_header(std::span<const uint8_t> bytes, SegmentHeader& header);

// "0000000042.shj"; 0 from segment_number() if the name is not one of a segment.
std::string segment_file_name(uint64_t number);
uint64_t segment_number(const std::string& file_name);

enum class EntryType : uint8_t { kRecord = 1, kTruncate = 2, kRelease = 3, kDrop = 4, kSeal = 5 };
std::string_view entry_type_name(EntryType type);

struct EntryHeader {
  EntryType type = EntryType::kSeal;
  bool moved = false;  // a copy of a live record, made to empty an old segment
  uint64_t number = 0;
  uint32_t batch_start = 0;   // offset in the segment
  uint32_t total_length = 0;  // bytes to the next entry
  uint32_t body_length = 0;
  uint32_t payload_length = 0;
  uint64_t life = 0;  // of the entry's group; 0 for drop and seal
};

// Where an entry is: what its crc is seeded with.
struct EntryPlace {
  uint64_t disk_id = 0;
  uint64_t segment = 0;
  uint64_t offset = 0;
};

// kEntryHeaderBytes, with the crc over them and `body`.
std::string encode_entry_header(const EntryHeader& header, const EntryPlace& place,
                                std::span<const uint8_t> body);

// True if `bytes` (kEntryHeaderBytes of them) could be an entry header of the segment; lengths are then sane,
// but the crc is not checked, which needs the body.
bool parse_entry_header(std::span<const uint8_t> bytes, const EntryPlace& place, EntryHeader& header);
// `bytes`: the entry header and body_length bytes of body.
bool entry_crc_matches(std::span<const uint8_t> bytes, const EntryPlace& place, const EntryHeader& header);

// The body of truncate, release and drop.
struct Control {
  EntryType type = EntryType::kRelease;
  GroupId group;
  Sequence sequence;    // truncate: the last one kept; release: the last one released; drop: 0
  uint64_t before = 0;  // truncate: entries with lower numbers are meant; drop: lower lives; release: 0
};
std::string encode_control(const Control& control);
bool decode_control(EntryType type, std::span<const uint8_t> body, Control& control);

}  // namespace shima
