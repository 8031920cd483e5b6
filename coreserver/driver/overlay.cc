#include "coreserver/driver/overlay.h"

#include <algorithm>
#include <cstring>

#include "common/types/crc32c.h"

namespace shima {

void Overlay::add(const RecordPtr& record) {
  records_.push_back(record);
  by_block_[{record->header.inode, record->header.block}].push_back(record);
  bytes_ += record_cost(record->header);
}

void Overlay::forget(const RecordPtr& record, bool newest) {
  auto it = by_block_.find({record->header.inode, record->header.block});
  newest ? it->second.pop_back() : it->second.pop_front();
  if (it->second.empty()) by_block_.erase(it);
  bytes_ -= record_cost(record->header);
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
  by_block_.clear();
  bytes_ = 0;
}

std::vector<RecordPtr> Overlay::touching(InodeId inode, BlockIndex block, uint32_t offset, uint32_t length,
                                         Sequence upto) const {
  std::vector<RecordPtr> found;
  auto it = by_block_.find({inode, block});
  if (it == by_block_.end()) return found;
  for (const RecordPtr& r : it->second) {
    const RecordHeader& h = r->header;
    if (h.position.sequence > upto) break;
    if (h.offset < offset + length && offset < h.offset + h.length) found.push_back(r);
  }
  return found;
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
void lay_record(const RecordHeader& h, const Buffer& payload, uint32_t offset, uint8_t* bytes, size_t size,
                std::vector<uint32_t>& checksums) {
  static const uint32_t zero_checksum = chunk_checksums(std::vector<uint8_t>(kChunkSize)).front();
  uint32_t from = std::max(h.offset, offset);
  uint32_t to = std::min<uint32_t>(h.offset + h.length, offset + static_cast<uint32_t>(size));
  if (from >= to) return;
  if (h.kind == RecordKind::kWrite) {
    std::memcpy(bytes + (from - offset), payload.data() + (from - h.offset), to - from);
  } else {
    std::memset(bytes + (from - offset), 0, to - from);
  }
  for (uint32_t at = from; at < to; at += kChunkSize) {
    checksums[(at - offset) / kChunkSize] =
        h.kind == RecordKind::kWrite ? h.checksums[(at - h.offset) / kChunkSize] : zero_checksum;
  }
}
}  // namespace

BlockPiece laid_over(BlockPiece base, uint32_t offset, const std::vector<RecordPtr>& records) {
  auto newer = [&](const RecordPtr& r) { return r->header.position.sequence > base.version.sequence; };
  auto first = std::find_if(records.begin(), records.end(), newer);
  if (first == records.end()) return base;
  BlockPiece piece;
  piece.version = records.back()->header.position;
  piece.checksums = std::move(base.checksums);
  piece.bytes = Buffer::make(base.bytes.size(), [&](uint8_t* out) {
    std::memcpy(out, base.bytes.data(), base.bytes.size());
    for (auto it = first; it != records.end(); ++it) {
      lay_record((*it)->header, (*it)->payload, offset, out, base.bytes.size(), piece.checksums);
    }
  });
  return piece;
}

}  // namespace shima
