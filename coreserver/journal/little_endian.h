// Little-endian numbers in byte strings: what every file of Shima is made of.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace shima {

static_assert(std::endian::native == std::endian::little, "put and get copy bytes as they are");

template <typename T>
void put_number(std::string& out, T value) {
  static_assert(std::is_unsigned_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <typename T>
T get_number(const uint8_t* bytes) {
  static_assert(std::is_unsigned_v<T>);
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// Takes numbers from the front of a run of bytes; past its end they are 0 and good() is false.
class NumberReader {
 public:
  explicit NumberReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    if (bytes_.size() < sizeof(T)) {
      good_ = false;
      return 0;
    }
    T value = get_number<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  bool good() const { return good_; }
  size_t left() const { return bytes_.size(); }

 private:
  std::span<const uint8_t> bytes_;
  bool good_ = true;
};

inline std::span<const uint8_t> as_bytes(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

}  // namespace shima
