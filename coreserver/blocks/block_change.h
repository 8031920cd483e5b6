// BlockChange: what some records, in order, do to one block: for each chunk the bytes that are left in the
// end.
//
// Purpose: apply() writes each chunk once, however many of its records touch it, and adjacent chunks in one
// call. Pure. Borrows the payloads: the records must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/status/status.h"
#include "common/types/record.h"
#include "coreserver/blocks/index_entry.h"

namespace shima {

// Whether the record may be applied to blocks of this size: its bounds, its payload and the payload's
// checksums.
Status check_record(const RecordHeader& header, const Buffer& payload, GroupId group, uint32_t block_size);

// Where a kTruncate cuts: its inode's bytes at or beyond this are gone. A removal cuts at 0, whatever it
// says.
struct TruncateCut {
  BlockIndex block;
  uint32_t offset = 0;  // bytes, in the block
};
inline TruncateCut cut_of(const RecordHeader& h) {
  return h.fence == kRemovedFence ? TruncateCut{} : TruncateCut{h.block, h.offset + h.length};
}

class BlockChange {
 public:
  // A run of adjacent chunks to write, with one piece for each stretch of memory.
  struct WriteRun {
    uint32_t offset = 0;  // bytes, in the block
    std::vector<std::span<const uint8_t>> pieces;
  };
  struct Range {
    uint32_t offset = 0;  // bytes, in the block
    uint32_t length = 0;
  };

  explicit BlockChange(uint32_t block_size) : chunks_(block_size / kChunkSize) {}

  // kWrite, kPunch, or the kTruncate that cuts in this block; already checked.
  void add(const Record& record);
  void merge_into(IndexEntry& entry) const;
  std::vector<WriteRun> write_runs() const;
  // Ranges which `before` has and this change makes holes.
  std::vector<Range> punched_ranges(const IndexEntry& before) const;

 private:
  struct Chunk {
    enum class Change : uint8_t { kNone, kWritten, kPunched };
    const uint8_t* bytes = nullptr;
    uint32_t checksum = 0;
    Change change = Change::kNone;
  };
  void write(const Record& record);
  void punch(uint32_t from, uint32_t to);

  std::vector<Chunk> chunks_;
  Position version_;
};

}  // namespace shima
