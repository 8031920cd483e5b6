#include "coreserver/driver/overlay.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "common/types/crc32c.h"
#include "coreserver/blocks/block_change.h"

namespace shima {

namespace {

bool older(const RecordPtr& a, const RecordPtr& b) {
  return a->header.position.sequence < b->header.position.sequence;
}

// Whether the record changes something in [from, to) of the block.
bool touches(const RecordHeader& h, BlockIndex block, uint32_t from, uint32_t to) {
  const bool covers = h.block == block && h.offset < to && from < h.offset + h.length;
  if (h.kind != RecordKind::kTruncate) return covers;
  const TruncateCut cut = cut_of(h);
  return covers || block > cut.block || (block == cut.block && cut.offset < to);
}

bool is_of_inode(const RecordHeader& h) {
  return h.kind == RecordKind::kWrite || h.kind == RecordKind::kPunch || h.kind == RecordKind::kTruncate;
}

void forget_one(std::deque<RecordPtr>& records, bool newest) {
  newest ? records.pop_back() : records.pop_front();
}

}  // namespace

void Overlay::add(const RecordPtr& record) {
  records_.push_back(record);
  bytes_ += record_cost(record->header);
  if (!is_of_inode(record->header)) return;
  Inode& inode = inodes_[record->header.inode];
  inode.all.push_back(record);
  inode.place_of(record->header).push_back(record);
}

void Overlay::forget(const RecordPtr& record, bool newest) {
  const RecordHeader& h = record->header;
  bytes_ -= record_cost(h);
  if (!is_of_inode(h)) return;
  auto inode = inodes_.find(h.inode);
  forget_one(inode->second.all, newest);
  Records& place = inode->second.place_of(h);
  forget_one(place, newest);
  if (inode->second.all.empty()) {
    inodes_.erase(inode);
  } else if (place.empty() && h.kind != RecordKind::kTruncate) {
    inode->second.by_block.erase(h.block);
  }
}

void Overlay::applied(Sequence upto) {
  while (!records_.empty() && records_.front()->header.position.sequence <= upto) {
    forget(records_.front(), false);
    records_.pop_front();
  }
}

void Overlay::truncate(Sequence after) {
  while (!records_.empty() && records_.back()->header.position.sequence > after) {
    forget(records_.back(), true);
    records_.pop_back();
  }
}

void Overlay::clear() {
  records_.clear();
  inodes_.clear();
  bytes_ = 0;
}

std::vector<RecordPtr> Overlay::touching(InodeId inode, BlockIndex block, uint32_t offset, uint32_t length,
                                         Sequence upto) const {
  std::vector<RecordPtr> found;
  auto of_inode = inodes_.find(inode);
  if (of_inode == inodes_.end()) return found;
  auto take = [&](const Records& records) {
    for (const RecordPtr& r : records) {
      if (r->header.position.sequence > upto) break;
      if (touches(r->header, block, offset, offset + length)) found.push_back(r);
    }
  };
  auto of_block = of_inode->second.by_block.find(block);
  if (of_block != of_inode->second.by_block.end()) take(of_block->second);
  const auto middle = static_cast<ptrdiff_t>(found.size());
  take(of_inode->second.truncations);
  std::inplace_merge(found.begin(), found.begin() + middle, found.end(), older);
  return found;
}

std::vector<RecordPtr> Overlay::of_inode(InodeId inode, Sequence upto) const {
  std::vector<RecordPtr> found;
  auto it = inodes_.find(inode);
  if (it == inodes_.end()) return found;
  for (const RecordPtr& r : it->second.all) {
    if (r->header.position.sequence > upto) break;
    found.push_back(r);
  }
  return found;
}

InodeState Overlay::merged(InodeId inode, InodeState stored, Sequence upto) const {
  auto it = inodes_.find(inode);
  if (it == inodes_.end()) return stored;
  for (const RecordPtr& r : it->second.all) {
    if (r->header.position.sequence > upto) break;
    count_record(r->header, stored);
  }
  return stored;
}

std::vector<RecordPtr> Overlay::next_to_apply(Sequence from, Sequence upto, uint64_t max_bytes) const {
  std::vector<RecordPtr> found;
  if (records_.empty()) return found;
  uint64_t first = records_.front()->header.position.sequence.value;
  uint64_t bytes = 0;
  for (uint64_t s = std::max(from.value + 1, first); s <= upto.value && s - first < records_.size(); s++) {
    found.push_back(records_[s - first]);
    bytes += record_cost(found.back()->header);
    if (bytes >= max_bytes) break;
  }
  return found;
}

namespace {

// A part of a block that records are laid over.
struct Piece {
  BlockIndex block;
  uint32_t offset;  // bytes, in the block
  uint32_t end;
  uint8_t* bytes;
  std::vector<uint32_t>& checksums;
};

void lay_zeros(uint32_t from, uint32_t to, Piece& piece) {
  static const uint32_t zero_checksum = chunk_checksums(std::vector<uint8_t>(kChunkSize)).front();
  from = std::max(from, piece.offset);
  to = std::min(to, piece.end);
  if (from >= to) return;
  std::memset(piece.bytes + (from - piece.offset), 0, to - from);
  for (uint32_t at = from; at < to; at += kChunkSize)
    piece.checksums[(at - piece.offset) / kChunkSize] = zero_checksum;
}

void lay_payload(const Record& record, Piece& piece) {
  const RecordHeader& h = record.header;
  const uint32_t from = std::max(h.offset, piece.offset);
  const uint32_t to = std::min(h.offset + h.length, piece.end);
  if (from >= to) return;
  std::memcpy(piece.bytes + (from - piece.offset), record.payload.data() + (from - h.offset), to - from);
  for (uint32_t at = from; at < to; at += kChunkSize)
    piece.checksums[(at - piece.offset) / kChunkSize] = h.checksums[(at - h.offset) / kChunkSize];
}

void lay_record(const Record& record, Piece& piece) {
  const RecordHeader& h = record.header;
  switch (h.kind) {
    case RecordKind::kWrite:
      return lay_payload(record, piece);
    case RecordKind::kPunch:
      return lay_zeros(h.offset, h.offset + h.length, piece);
    case RecordKind::kTruncate: {
      const TruncateCut cut = cut_of(h);
      if (piece.block < cut.block) return;
      const bool cuts_here = piece.block == cut.block;
      if (cuts_here && h.fence != kRemovedFence) lay_payload(record, piece);
      return lay_zeros(cuts_here ? cut.offset : 0, piece.end, piece);
    }
    case RecordKind::kNoop:
    case RecordKind::kBatch:
      return;
  }
}

}  // namespace

BlockPiece laid_over(BlockPiece base, BlockIndex block, uint32_t offset,
                     const std::vector<RecordPtr>& records) {
  auto newer = [&](const RecordPtr& r) { return r->header.position.sequence > base.version.sequence; };
  auto first = std::find_if(records.begin(), records.end(), newer);
  if (first == records.end()) return base;
  BlockPiece laid;
  laid.version = records.back()->header.position;
  laid.checksums = std::move(base.checksums);
  laid.bytes = Buffer::make(base.bytes.size(), [&](uint8_t* out) {
    std::memcpy(out, base.bytes.data(), base.bytes.size());
    Piece piece{block, offset, offset + static_cast<uint32_t>(base.bytes.size()), out, laid.checksums};
    for (auto it = first; it != records.end(); ++it) lay_record(**it, piece);
  });
  return laid;
}

}  // namespace shima
