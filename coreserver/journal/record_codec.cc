#include "coreserver/journal/record_codec.h"

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"

namespace shima {
namespace {

constexpr uint8_t kCodecVersion = 1;

Status corrupt(std::string text) { return {Code::kCorrupt, "record header: " + text}; }

}  // namespace

Status check_record_header(const RecordHeader& h) {
  auto wrong = [&](std::string text) {
    return Status(Code::kInvalidArgument, "record " + to_string(h.position) + " of group " +
                                              to_string(h.group) + ": " + std::move(text));
  };
  if (h.kind != RecordKind::kNoop && h.kind != RecordKind::kWrite && h.kind != RecordKind::kPunch) {
    return wrong("unknown kind " + std::to_string(static_cast<int>(h.kind)));
  }
  if (h.position.sequence.value == 0) return wrong("sequences begin at 1");
  if (h.length > kMaxBlockSize || h.offset > kMaxBlockSize - h.length) {
    return wrong("range [" + std::to_string(h.offset) + ", +" + std::to_string(h.length) +
                 ") reaches beyond a block's largest size, " + std::to_string(kMaxBlockSize));
  }
  if (h.offset % kChunkSize != 0 || h.length % kChunkSize != 0) {
    return wrong("range [" + std::to_string(h.offset) + ", +" + std::to_string(h.length) +
                 ") is not made of whole chunks of " + std::to_string(kChunkSize));
  }
  size_t wanted = payload_bytes(h) / kChunkSize;
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
  for (uint64_t v :
       {h.position.term.value, h.position.sequence.value, h.previous_term.value, h.committed.value,
        h.client.value, h.request.value, h.settled_below.value, h.inode.value, h.block.value}) {
    append_little_endian<uint64_t>(out, v);
  }
  append_little_endian<uint32_t>(out, h.offset);
  append_little_endian<uint32_t>(out, h.length);
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(h.checksums.size()));
  for (uint32_t sum : h.checksums) append_little_endian<uint32_t>(out, sum);
}

Status decode_record_header(std::span<const uint8_t> bytes, RecordHeader& h) {
  if (bytes.size() < kRecordHeaderBytes) {
    return corrupt("wanted at least " + std::to_string(kRecordHeaderBytes) + " bytes, found " +
                   std::to_string(bytes.size()));
  }
  NumberReader in(bytes);
  if (uint8_t version = in.take<uint8_t>(); version != kCodecVersion) {
    return corrupt("wanted version 1, found " + std::to_string(version) + "; a newer server wrote it");
  }
  h.kind = static_cast<RecordKind>(in.take<uint8_t>());
  if (in.take<uint16_t>() != 0) return corrupt("reserved bytes are set");
  h.group.volume.value = in.take<uint64_t>();
  h.group.index.value = in.take<uint32_t>();
  for (uint64_t* v :
       {&h.position.term.value, &h.position.sequence.value, &h.previous_term.value, &h.committed.value,
        &h.client.value, &h.request.value, &h.settled_below.value, &h.inode.value, &h.block.value}) {
    *v = in.take<uint64_t>();
  }
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
