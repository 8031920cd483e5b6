// Buffer: an immutable, reference-counted run of bytes; a slice of one shares its memory.
//
// Purpose: a payload is received once and then lies in the journal's queue, the overlay and the send
// queues of three connections without being copied.
// Threads: a Buffer may be copied and dropped on any thread; its bytes never change after make().
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace shima {

class Buffer {
 public:
  Buffer() = default;

  // A new buffer of `size` bytes; `fill(uint8_t*)` writes them all.
  template <typename Fill>
  static Buffer make(size_t size, Fill&& fill) {
    Buffer b;
    auto bytes = std::make_shared_for_overwrite<uint8_t[]>(size);
    fill(bytes.get());
    b.data_ = bytes.get();
    b.owner_ = std::move(bytes);
    b.size_ = size;
    return b;
  }
  static Buffer copy_of(std::span<const uint8_t> bytes) {
    return make(bytes.size(), [&](uint8_t* p) {
      if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
    });
  }
  static Buffer copy_of(std::string_view s) {
    return copy_of(std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size()));
  }
  static Buffer zeros(size_t size) {
    return make(size, [&](uint8_t* p) { std::memset(p, 0, size); });
  }
  // Takes over memory that was filled elsewhere.
  static Buffer adopt(std::shared_ptr<const uint8_t[]> bytes, size_t size) {
    Buffer b;
    b.data_ = bytes.get();
    b.owner_ = std::move(bytes);
    b.size_ = size;
    return b;
  }

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const uint8_t> span() const { return {data_, size_}; }

  // The bytes [offset, offset + size), sharing this buffer's memory. The range must lie inside.
  Buffer slice(size_t offset, size_t size) const {
    Buffer b = *this;
    b.data_ = data_ + offset;
    b.size_ = size;
    return b;
  }

  friend bool operator==(const Buffer& a, const Buffer& b) {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }

 private:
  std::shared_ptr<const uint8_t[]> owner_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace shima
