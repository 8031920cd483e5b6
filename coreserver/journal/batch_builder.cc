#include "coreserver/journal/batch_builder.h"

#include "common/types/byte_order.h"

namespace shima {

BatchBuilder::Added BatchBuilder::add(EntryType type, bool moved, uint64_t life,
                                      std::span<const uint8_t> body, std::span<const uint8_t> payload) {
  size_t used = kEntryHeaderBytes + body.size() + payload.size();
  last_ = EntryHeader{.type = type,
                      .moved = moved,
                      .number = next_number_++,
                      .batch_start = static_cast<uint32_t>(start_),
                      .total_length = static_cast<uint32_t>(round_up(used, kEntryAlignment)),
                      .body_length = static_cast<uint32_t>(body.size()),
                      .payload_length = static_cast<uint32_t>(payload.size()),
                      .life = life};
  last_place_ = place_;
  last_meta_ = meta_.size();
  add_meta(as_bytes(encode_entry_header(last_, place_, body)));
  add_meta(body);
  if (!payload.empty()) pieces_.push_back({0, 0, payload});
  add_padding(last_.total_length - used);
  size_ += last_.total_length;
  Added added{static_cast<uint32_t>(place_.offset), last_.total_length, last_.number};
  place_.offset += last_.total_length;
  return added;
}

void BatchBuilder::finish() {
  uint64_t padding = padded(size_) - size_;
  if (padding == 0) return;
  last_.total_length += static_cast<uint32_t>(padding);
  std::string body = meta_.substr(last_meta_ + kEntryHeaderBytes, last_.body_length);
  meta_.replace(last_meta_, kEntryHeaderBytes, encode_entry_header(last_, last_place_, as_bytes(body)));
  add_padding(padding);
  size_ += padding;
}

std::vector<std::span<const uint8_t>> BatchBuilder::pieces() const {
  std::vector<std::span<const uint8_t>> out;
  out.reserve(pieces_.size());
  for (const Piece& p : pieces_) {
    out.push_back(p.payload.empty() ? as_bytes(meta_).subspan(p.meta_begin, p.meta_end - p.meta_begin)
                                    : p.payload);
  }
  return out;
}

void BatchBuilder::add_meta(std::span<const uint8_t> bytes) {
  if (pieces_.empty() || !pieces_.back().payload.empty()) pieces_.push_back({meta_.size(), meta_.size(), {}});
  meta_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  pieces_.back().meta_end = meta_.size();
}

void BatchBuilder::add_padding(size_t bytes) {
  if (bytes == 0) return;
  static constexpr uint8_t kPadding[kBatchAlignment] = {};
  add_meta(std::span(kPadding).first(bytes));
}

}  // namespace shima
