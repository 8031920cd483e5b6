#include "accessserver/nfs/xdr/xdr_reader.h"

namespace shima {

const uint8_t* XdrReader::take(size_t size) {
  if (!good_) return nullptr;
  size_t left = bytes_.size() - at_;
  // In this order, so that a size near the largest cannot wrap around when it is padded.
  if (size > left || xdr_padded(size) > left) {
    good_ = false;
    return nullptr;
  }
  const uint8_t* from = bytes_.data() + at_;
  at_ += xdr_padded(size);
  return from;
}

uint32_t XdrReader::u32() {
  const uint8_t* p = take(4);
  if (!p) return 0;
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}

uint64_t XdrReader::u64() {
  uint64_t high = u32();
  uint64_t low = u32();
  return good_ ? high << 32 | low : 0;
}

bool XdrReader::boolean() { return choice(1) == 1; }

uint32_t XdrReader::choice(uint32_t last) {
  uint32_t value = u32();
  if (value <= last) return value;
  good_ = false;
  return 0;
}

Buffer XdrReader::fixed(size_t size) {
  size_t start = at_;
  if (!take(size)) return {};
  return bytes_.slice(start, size);
}

Buffer XdrReader::opaque(size_t most) {
  size_t size = u32();
  if (size <= most) return fixed(size);
  good_ = false;
  return {};
}

std::string XdrReader::string(size_t most) { return text_of(opaque(most)); }

}  // namespace shima
