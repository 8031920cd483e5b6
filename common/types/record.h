// Record: one entry of a replica group's log, the unit that is journaled, copied and shipped.
//
// A data group's record covers whole chunks of 4 KiB (kChunkSize) of one block: the primary completes partial
// chunks before it gives the record its position, so that no other member ever reads before it writes. A
// metadata group's record is one batch of changes to its KV. A record's position is the block version's
// unique ID of the paper (step 1), with the home site's term.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/types/buffer.h"
#include "common/types/ids.h"

namespace shima {

enum class RecordKind : uint8_t {
  kNoop = 1,   // no change
  kWrite = 2,  // payload replaces [offset, offset + length) of the block
  kPunch = 3,  // [offset, offset + length) becomes a hole and reads as zero; no payload, no checksums
  kBatch =
      4,  // metadata groups: payload is an encoded KvBatch (jobs/kv_view.h) of `length` bytes, any; offset 0
  // Data groups: the payload, if any, replaces [offset, offset + length) of the block (none or one chunk: the
  // one that the file's new end lies in); then all of the inode's bytes at and beyond (block, offset +
  // length) that this group holds are gone (R18). Executed once for a fence.
  kTruncate = 5,
};

inline constexpr uint32_t kMaxBlockSize = 4u << 20;  // bytes; a record's length is at most this

struct RecordHeader {
  GroupId group;
  Position position;   // this record's place in the log
  Term previous_term;  // term of the record before it (0 for the first)
  Sequence committed;  // what the primary knew to be committed when it made the record (R22)
  RecordKind kind = RecordKind::kNoop;
  ClientId client;  // 0 for records that no client asked for
  RequestId request;
  RequestId settled_below;  // the client will never again ask for requests below this one (R20)
  InodeId inode;
  BlockIndex block;
  uint32_t offset = 0;  // bytes, from the start of the block; multiple of kChunkSize
  uint32_t length = 0;  // bytes; multiple of kChunkSize
  std::vector<uint32_t>
      checksums;        // crc32c of each chunk of the payload; of a kBatch the last may be shorter
  uint64_t fence = 0;   // data groups: the inode's truncate sequence that the writer acted on (R18)
  int64_t time_ns = 0;  // data groups: the write's mtime; 0: the inode's does not change (R19)

  bool operator==(const RecordHeader&) const = default;
};

struct Record {
  RecordHeader header;
  Buffer payload;  // kWrite, kBatch, kTruncate: header.length bytes; else empty

  bool operator==(const Record&) const = default;
};

// A kTruncate with this fence removes the inode for ever.
inline constexpr uint64_t kRemovedFence = ~0ull;

using RecordPtr = std::shared_ptr<const Record>;

// Bytes that a record occupies in limits and lags: its payload plus a fixed share for its header.
inline uint64_t record_cost(const RecordHeader& h) {
  return (h.kind == RecordKind::kPunch ? 0 : h.length) + 128 + 4 * h.checksums.size();
}

}  // namespace shima
