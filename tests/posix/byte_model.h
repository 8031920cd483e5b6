// ByteModel: what a file must hold, as POSIX says: what was written, zeros where nothing was.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace shima {

class ByteModel {
 public:
  uint64_t size() const { return bytes_.size(); }
  std::span<const uint8_t> bytes() const { return bytes_; }

  void write(uint64_t offset, std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    if (offset + bytes.size() > size()) bytes_.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void resize(uint64_t size) { bytes_.resize(size); }
  // Zeros of [offset, offset + length) that lies inside the file.
  void zero(uint64_t offset, uint64_t length) {
    const uint64_t end = std::min(size(), offset + length);
    if (offset < end) {
      std::fill(bytes_.begin() + static_cast<std::ptrdiff_t>(offset),
                bytes_.begin() + static_cast<std::ptrdiff_t>(end), uint8_t{0});
    }
  }
  // What a read must return: less than `length` at the end of the file.
  std::span<const uint8_t> read(uint64_t offset, uint64_t length) const {
    if (offset >= size()) return {};
    return std::span(bytes_).subspan(offset, std::min(length, size() - offset));
  }
  bool is_zero(uint64_t from, uint64_t to) const {
    return std::all_of(bytes_.begin() + static_cast<std::ptrdiff_t>(from),
                       bytes_.begin() + static_cast<std::ptrdiff_t>(to), [](uint8_t b) { return b == 0; });
  }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace shima
