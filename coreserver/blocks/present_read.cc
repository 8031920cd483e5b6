#include "coreserver/blocks/present_read.h"

#include <cstring>

namespace shima {
namespace {

constexpr size_t kBridgedChunks = 16;  // a hole of at most this many is read over: cheaper than another call

// The first run of chunks in [from, end) to read in one call; first == last if none is present.
struct Run {
  size_t first, last;
};
Run next_run(const IndexEntry& entry, size_t from, size_t end) {
  while (from < end && !entry.present[from]) from++;
  size_t last = from;
  for (size_t i = from; i < end && i < last + 1 + kBridgedChunks; i++) {
    if (entry.present[i]) last = i + 1;
  }
  return {from, last};
}

Status read_run(const DataFiles& files, const IndexEntry& entry, Run run, uint8_t* out) {
  SHIMA_RETURN_IF_ERROR(files.read(entry.slot, static_cast<uint32_t>(run.first * kChunkSize),
                                   {out, (run.last - run.first) * kChunkSize}));
  for (size_t i = run.first; i < run.last; i++, out += kChunkSize) {
    if (!entry.present[i]) {
      std::memset(out, 0, kChunkSize);
    } else if (crc32c({out, kChunkSize}) != entry.checksums[i]) {
      return {Code::kCorrupt, "the 4 KiB at byte " + std::to_string(i * kChunkSize) + " (slot " +
                                  std::to_string(entry.slot.number) + " of " +
                                  data_file_name(entry.slot.file) +
                                  ") do not match their checksum; read this block from another member"};
    }
  }
  return Status::ok();
}

}  // namespace

Result<BlockPiece> read_present(const DataFiles& files, const IndexEntry* entry, uint32_t offset,
                                uint32_t length) {
  if (entry == nullptr) {
    return BlockPiece{
        {}, Buffer::zeros(length), std::vector<uint32_t>(length / kChunkSize, kZeroChunkChecksum)};
  }
  if (uint64_t{offset} + length > entry->block_size) {
    return Status(Code::kInvalidArgument, "a read of bytes " + std::to_string(offset) + " + " +
                                              std::to_string(length) + "; the block has " +
                                              std::to_string(entry->block_size));
  }
  const size_t begin = offset / kChunkSize, end = begin + length / kChunkSize;
  Status status;
  Buffer bytes = Buffer::make(length, [&](uint8_t* out) {
    size_t at = begin;
    while (at < end && status.is_ok()) {
      const Run run = next_run(*entry, at, end);
      std::memset(out + (at - begin) * kChunkSize, 0, (run.first - at) * kChunkSize);
      if (run.first < run.last) status = read_run(files, *entry, run, out + (run.first - begin) * kChunkSize);
      at = run.last;
    }
  });
  if (!status.is_ok()) return status;
  return BlockPiece{
      entry->version, std::move(bytes), {entry->checksums.begin() + begin, entry->checksums.begin() + end}};
}

}  // namespace shima
