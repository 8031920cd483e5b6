// Overlay: the records of a group that are in the journal but not yet in the block store, by block and inode,
// for reads.
//
// Threads: none of its own; one owner. A snapshot may be read on another thread (records never change).
#pragma once

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "common/types/record.h"
#include "coreserver/blocks/block_store.h"

namespace shima {

class Overlay {
 public:
  void add(const RecordPtr& record);  // positions ascend
  // Records up to `upto` are in the block store now.
  void applied(Sequence upto);
  void truncate(Sequence after);
  void clear();

  // Records that change something in [offset, offset + length) of the block and are not newer than `upto`,
  // oldest first: its own, and truncations of the inode that cut at or before that range's end.
  std::vector<RecordPtr> touching(InodeId inode, BlockIndex block, uint32_t offset, uint32_t length,
                                  Sequence upto) const;
  // All records of the inode that are not newer than `upto`, oldest first.
  std::vector<RecordPtr> of_inode(InodeId inode, Sequence upto) const;
  // `stored` from the block store with what the inode's records up to `upto` add: fence, mtime and changes.
  // Of used_bytes it is not known before they are applied.
  InodeState merged(InodeId inode, InodeState stored, Sequence upto) const;
  // All records in (from, upto], oldest first, until their bytes pass max_bytes (at least one).
  std::vector<RecordPtr> next_to_apply(Sequence from, Sequence upto, uint64_t max_bytes) const;

  uint64_t bytes() const { return bytes_; }
  bool empty() const { return records_.empty(); }
  Sequence first() const {
    return records_.empty() ? Sequence() : records_.front()->header.position.sequence;
  }

 private:
  using Records = std::deque<RecordPtr>;  // oldest first
  struct Inode {
    Records all;
    Records truncations;
    std::map<BlockIndex, Records> by_block;  // the others
    Records& place_of(const RecordHeader& h) {
      return h.kind == RecordKind::kTruncate ? truncations : by_block[h.block];
    }
  };
  void forget(const RecordPtr& record, bool newest);

  Records records_;  // contiguous
  std::map<InodeId, Inode> inodes_;
  uint64_t bytes_ = 0;
};

// The piece [offset, offset + base.bytes.size()) of block `block`: `base` from the block store with those of
// `records` (what touching() found for it, oldest first) laid over it that are newer than base.version.
BlockPiece laid_over(BlockPiece base, BlockIndex block, uint32_t offset,
                     const std::vector<RecordPtr>& records);

}  // namespace shima
