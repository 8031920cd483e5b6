#include "coreserver/blocks/block_change.h"

namespace shima {

Status check_record(const RecordHeader& header, const Buffer& payload, GroupId group, uint32_t block_size) {
  const std::string name = "record " + to_string(header.position) + " of group " + to_string(header.group);
  if (header.group != group) {
    return {Code::kInvalidArgument,
            name + " was given to group " + to_string(group) + "; it must go to its own"};
  }
  if (header.kind == RecordKind::kNoop) return Status::ok();
  const bool truncates = header.kind == RecordKind::kTruncate;
  if (header.offset % kChunkSize != 0 || header.length % kChunkSize != 0 ||
      (truncates ? header.length > kChunkSize : header.length == 0) ||
      uint64_t{header.offset} + header.length > block_size) {
    return {Code::kInvalidArgument,
            name + " covers bytes " + std::to_string(header.offset) + " + " + std::to_string(header.length) +
                "; it must cover whole chunks of 4096 in a block of " + std::to_string(block_size)};
  }
  if (header.kind == RecordKind::kPunch) return Status::ok();
  if (header.kind != RecordKind::kWrite && !truncates) {
    return {Code::kInvalidArgument, name + " has the kind " + std::to_string(static_cast<int>(header.kind)) +
                                        ", which no data group takes"};
  }
  if (payload.size() != header.length || header.checksums.size() != header.length / kChunkSize) {
    return {Code::kInvalidArgument, name + " says " + std::to_string(header.length) + " bytes, and brings " +
                                        std::to_string(payload.size()) + " with " +
                                        std::to_string(header.checksums.size()) + " checksums"};
  }
  if (!chunks_match(payload.span(), header.checksums)) {
    return {Code::kCorrupt,
            name + " does not match its checksums and was not applied; read it from another member"};
  }
  return Status::ok();
}

void BlockChange::add(const Record& record) {
  const RecordHeader& header = record.header;
  version_ = header.position;
  switch (header.kind) {
    case RecordKind::kWrite:
      return write(record);
    case RecordKind::kPunch:
      return punch(header.offset, header.offset + header.length);
    case RecordKind::kTruncate:
      if (header.fence != kRemovedFence) write(record);
      return punch(cut_of(header).offset, static_cast<uint32_t>(chunks_.size() * kChunkSize));
    case RecordKind::kNoop:
    case RecordKind::kBatch:
      break;
  }
  SHIMA_CHECK(false, "only records of blocks change a block");
}

void BlockChange::write(const Record& record) {
  const size_t first = record.header.offset / kChunkSize;
  for (size_t i = 0; i < record.header.length / kChunkSize; i++) {
    chunks_[first + i] = {record.payload.data() + i * kChunkSize, record.header.checksums[i],
                          Chunk::Change::kWritten};
  }
}

// The chunks in [from, to), in bytes, become holes.
void BlockChange::punch(uint32_t from, uint32_t to) {
  for (size_t i = from / kChunkSize; i < to / kChunkSize; i++)
    chunks_[i] = {nullptr, 0, Chunk::Change::kPunched};
}

void BlockChange::merge_into(IndexEntry& entry) const {
  entry.version = version_;
  for (size_t i = 0; i < chunks_.size(); i++) {
    if (chunks_[i].change == Chunk::Change::kWritten) entry.set_present(i, chunks_[i].checksum);
    if (chunks_[i].change == Chunk::Change::kPunched) entry.set_hole(i);
  }
}

std::vector<BlockChange::WriteRun> BlockChange::write_runs() const {
  std::vector<WriteRun> runs;
  for (size_t i = 0; i < chunks_.size(); i++) {
    if (chunks_[i].change != Chunk::Change::kWritten) continue;
    const bool continues_run = i > 0 && chunks_[i - 1].change == Chunk::Change::kWritten;
    if (!continues_run) runs.push_back({static_cast<uint32_t>(i * kChunkSize), {}});
    auto& pieces = runs.back().pieces;
    if (!pieces.empty() && pieces.back().data() + pieces.back().size() == chunks_[i].bytes) {
      pieces.back() = {pieces.back().data(), pieces.back().size() + kChunkSize};
    } else {
      pieces.emplace_back(chunks_[i].bytes, kChunkSize);
    }
  }
  return runs;
}

std::vector<BlockChange::Range> BlockChange::punched_ranges(const IndexEntry& before) const {
  std::vector<Range> ranges;
  for (size_t i = 0; i < chunks_.size(); i++) {
    if (chunks_[i].change != Chunk::Change::kPunched || !before.present[i]) continue;
    const uint32_t offset = static_cast<uint32_t>(i * kChunkSize);
    if (!ranges.empty() && ranges.back().offset + ranges.back().length == offset) {
      ranges.back().length += kChunkSize;
    } else {
      ranges.push_back({offset, kChunkSize});
    }
  }
  return ranges;
}

}  // namespace shima
