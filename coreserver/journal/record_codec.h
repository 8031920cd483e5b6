// The bytes of a RecordHeader: the same in the journal, on the wire and in the dump tool.
//
// Layout (little endian): u8 version = 2, u8 kind, u16 zero, u64 volume, u32 group index, u64 term, u64
// sequence, u64 previous term, u64 committed, u64 client, u64 request, u64 settled_below, u64 fence, u64
// time_ns, u64 inode, u64 block, u32 offset, u32 length, u32 number of checksums, u32 checksum...: 116 bytes
// + 4 a checksum. Version 1 had neither fence nor time_ns (100 bytes): it is still read, with zeros for them.
// Whoever stores them adds a checksum of his own over them; the payload's are inside.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/status/status.h"
#include "common/types/record.h"

namespace shima {

inline constexpr uint32_t kRecordHeaderBytes = 116;  // without checksums

// kInvalidArgument unless the header obeys record.h: known kind, sequence >= 1, a range of whole chunks that
// ends within kMaxBlockSize, and one checksum for each chunk of its payload (only). A batch has offset 0 and
// any length from 1, a truncation at most one chunk.
Status check_record_header(const RecordHeader& header);

// The bytes of a payload that belongs to the header.
constexpr uint32_t payload_bytes(RecordKind kind, uint32_t length) {
  return kind == RecordKind::kNoop || kind == RecordKind::kPunch ? 0 : length;
}
inline uint32_t payload_bytes(const RecordHeader& h) { return payload_bytes(h.kind, h.length); }

// Appends the header's bytes to `out`.
void encode_record_header(const RecordHeader& header, std::string& out);

// Reads a header from exactly these bytes, which may be hostile. kCorrupt if they are not one.
Status decode_record_header(std::span<const uint8_t> bytes, RecordHeader& header);

}  // namespace shima
