// Overlay: the records of a group that are in the journal but not yet in the block store, by block, for
// reads.
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

  // Records of the block that touch [offset, offset + length) and are not newer than `upto`, oldest first.
  std::vector<RecordPtr> touching(InodeId inode, BlockIndex block, uint32_t offset, uint32_t length,
                                  Sequence upto) const;
  // All records in (from, upto], oldest first, until their bytes pass max_bytes (at least one).
  std::vector<RecordPtr> next_to_apply(Sequence from, Sequence upto, uint64_t max_bytes) const;

  uint64_t bytes() const { return bytes_; }
  bool empty() const { return records_.empty(); }
  Sequence first() const {
    return records_.empty() ? Sequence() : records_.front()->header.position.sequence;
  }

 private:
  using Key = std::pair<InodeId, BlockIndex>;
  void forget(const RecordPtr& record, bool newest);

  std::deque<RecordPtr> records_;  // contiguous
  std::map<Key, std::deque<RecordPtr>> by_block_;
  uint64_t bytes_ = 0;
};

// The piece [offset, offset + base.bytes.size()) of a block: `base` from the block store with those of
// `records` (oldest first) laid over it that are newer than base.version.
BlockPiece laid_over(BlockPiece base, uint32_t offset, const std::vector<RecordPtr>& records);

}  // namespace shima
