// Fixed-width numbers in files, frames and keys: little-endian in values, big-endian in keys (so that keys
// sort by number).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace shima {

static_assert(std::endian::native == std::endian::little, "little-endian numbers are copied as they are");

template <typename T>
void append_little_endian(std::string& out, T value) {
  static_assert(std::is_unsigned_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <typename T>
void append_big_endian(std::string& out, T value) {
  for (size_t i = sizeof(T); i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

template <typename T>
T get_little_endian(const uint8_t* bytes) {
  static_assert(std::is_unsigned_v<T>);
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// Takes a number off the front of `in`; false (and `in` unchanged) if it is too short.
template <typename T>
[[nodiscard]] bool take_little_endian(std::string_view& in, T& value) {
  if (in.size() < sizeof(T)) return false;
  value = get_little_endian<T>(reinterpret_cast<const uint8_t*>(in.data()));
  in.remove_prefix(sizeof(T));
  return true;
}

template <typename T>
[[nodiscard]] bool take_big_endian(std::string_view& in, T& value) {
  if (in.size() < sizeof(T)) return false;
  value = 0;
  for (size_t i = 0; i < sizeof(T); i++) value = static_cast<T>((value << 8) | static_cast<uint8_t>(in[i]));
  in.remove_prefix(sizeof(T));
  return true;
}

// Takes little-endian numbers from the front of a run of bytes; past its end they are 0 and good() is false.
class NumberReader {
 public:
  explicit NumberReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    if (bytes_.size() < sizeof(T)) {
      good_ = false;
      return 0;
    }
    T value = get_little_endian<T>(bytes_.data());
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
