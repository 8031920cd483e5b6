// XdrReader: takes XDR values (RFC 4506) off the front of a buffer, with a bounds check at each.
//
// A value that is malformed or beyond the end reads as zero or empty and makes the reader bad for good;
// nothing is read from a bad reader. Callers take all their arguments and look at good() once. Opaques are
// slices of the buffer: nothing is copied. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/types/buffer.h"

namespace shima {

class XdrReader {
 public:
  XdrReader() = default;
  explicit XdrReader(Buffer bytes) : bytes_(std::move(bytes)) {}

  uint32_t u32();
  uint64_t u64();
  bool boolean();                   // anything but 0 and 1 is malformed
  uint32_t choice(uint32_t last);   // an enum of 0..last
  Buffer fixed(size_t size);        // opaque[size]
  Buffer opaque(size_t most);       // opaque<most>
  std::string string(size_t most);  // string<most>
  std::string fixed_string(size_t size) { return text_of(fixed(size)); }

  bool good() const { return good_; }
  size_t left() const { return good_ ? bytes_.size() - at_ : 0; }
  Buffer rest() const { return bytes_.slice(at_, left()); }  // what was not taken yet

 private:
  static std::string text_of(const Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // The next `size` bytes and their padding; null if there are fewer.
  const uint8_t* take(size_t size);

  Buffer bytes_;
  size_t at_ = 0;
  bool good_ = true;
};

// Bytes of an opaque with its padding to a multiple of four, without its length.
constexpr size_t xdr_padded(size_t size) { return (size + 3) & ~size_t{3}; }

}  // namespace shima
