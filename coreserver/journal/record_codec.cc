#include "coreserver/journal/record_codec.h"

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"

namespace shima {
namespace {

constexpr uint8_t kCodecVersion = 2;
constexpr uint32_t kVersion1Bytes = 100;  // without fence and time_ns

Status corrupt(std::string text) { return {Code::kCorrupt, "record header: " + text}; }

std::string range_of(const RecordHeader& h) {
  return "range [" + std::to_string(h.offset) + ", +" + std::to_string(h.length) + ")";
}

// What is wrong with the range of bytes that the record covers; empty: nothing.
std::string wrong_range(const RecordHeader& h) {
  if (h.length > kMaxBlockSize || h.offset > kMaxBlockSize - h.length) {
    return range_of(h) + " reaches beyond a block's largest size, " + std::to_string(kMaxBlockSize);
  }
  if (h.kind == RecordKind::kBatch) {
    if (h.offset == 0 && h.length > 0) return "";
    return range_of(h) + " of a batch; it must begin at 0 and not be empty";
  }
  if (h.offset % kChunkSize != 0 || h.length % kChunkSize != 0) {
    return range_of(h) + " is not made of whole chunks of " + std::to_string(kChunkSize);
  }
  if (h.kind == RecordKind::kTruncate && h.length > kChunkSize) {
    return range_of(h) + " of a truncation; it brings one chunk at most";
  }
  return "";
}

bool known(RecordKind kind) {
  switch (kind) {
    case RecordKind::kNoop:
    case RecordKind::kWrite:
    case RecordKind::kPunch:
    case RecordKind::kBatch:
    case RecordKind::kTruncate:
      return true;
  }
  return false;
}

}  // namespace

Status check_record_header(const RecordHeader& h) {
  auto wrong = [&](std::string text) {
    return Status(Code::kInvalidArgument, "record " + to_string(h.position) + " of group " +
                                              to_string(h.group) + ": " + std::move(text));
  };
  if (!known(h.kind)) return wrong("unknown kind " + std::to_string(static_cast<int>(h.kind)));
  if (h.position.sequence.value == 0) return wrong("sequences begin at 1");
  if (std::string what = wrong_range(h); !what.empty()) return wrong(std::move(what));
  size_t wanted = chunk_count(payload_bytes(h));
  if (h.checksums.size() != wanted) {
    return wrong("wanted " + std::to_string(wanted) + " checksums, found " +
                 std::to_string(h.checksums.size()));
  }
  return Status::ok();
}

void encode_record_header(const RecordHeader& h, std::string& out) {
  out.reserve(out.size() + kRecordHeaderBytes + 4 * h.checksums.size());
  append_little_endian<uint8_t>(out, kCodecVersion);
  append_little_endian<uint8_t>(out, static_cast<uint8_t>(h.kind));
  append_little_endian<uint16_t>(out, 0);
  append_little_endian<uint64_t>(out, h.group.volume.value);
  append_little_endian<uint32_t>(out, h.group.index.value);
  for (uint64_t v : {h.position.term.value, h.position.sequence.value, h.previous_term.value,
                     h.committed.value, h.client.value, h.request.value, h.settled_below.value, h.fence,
                     static_cast<uint64_t>(h.time_ns), h.inode.value, h.block.value}) {
    append_little_endian<uint64_t>(out, v);
  }
  append_little_endian<uint32_t>(out, h.offset);
  append_little_endian<uint32_t>(out, h.length);
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(h.checksums.size()));
  for (uint32_t sum : h.checksums) append_little_endian<uint32_t>(out, sum);
}

Status decode_record_header(std::span<const uint8_t> bytes, RecordHeader& h) {
  NumberReader in(bytes);
  const uint8_t version = in.take<uint8_t>();
  const uint32_t fixed_bytes = version == 1 ? kVersion1Bytes : kRecordHeaderBytes;
  if (bytes.size() < fixed_bytes) {
    return corrupt("wanted at least " + std::to_string(fixed_bytes) + " bytes, found " +
                   std::to_string(bytes.size()));
  }
  if (version == 0 || version > kCodecVersion) {
    return corrupt("wanted version 1 or 2, found " + std::to_string(version) + "; a newer server wrote it");
  }
  h.kind = static_cast<RecordKind>(in.take<uint8_t>());
  if (in.take<uint16_t>() != 0) return corrupt("reserved bytes are set");
  h.group.volume.value = in.take<uint64_t>();
  h.group.index.value = in.take<uint32_t>();
  for (uint64_t* v : {&h.position.term.value, &h.position.sequence.value, &h.previous_term.value,
                      &h.committed.value, &h.client.value, &h.request.value, &h.settled_below.value}) {
    *v = in.take<uint64_t>();
  }
  h.fence = version == 1 ? 0 : in.take<uint64_t>();
  h.time_ns = version == 1 ? 0 : static_cast<int64_t>(in.take<uint64_t>());
  h.inode.value = in.take<uint64_t>();
  h.block.value = in.take<uint64_t>();
  h.offset = in.take<uint32_t>();
  h.length = in.take<uint32_t>();
  uint32_t count = in.take<uint32_t>();
  if (count > kMaxBlockSize / kChunkSize || in.left() != 4 * size_t{count}) {
    return corrupt(std::to_string(count) + " checksums do not fit " + std::to_string(in.left()) + " bytes");
  }
  h.checksums.resize(count);
  for (uint32_t& sum : h.checksums) sum = in.take<uint32_t>();
  if (Status s = check_record_header(h); !s) return {Code::kCorrupt, s.message()};
  return Status::ok();
}

}  // namespace shima
