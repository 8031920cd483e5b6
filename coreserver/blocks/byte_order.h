// Fixed-width numbers in files and keys: little-endian in values, big-endian in keys (so that keys sort by
// number).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shima {

template <typename T>
void append_little_endian(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); i++) out.push_back(static_cast<char>(value >> (8 * i)));
}

template <typename T>
void append_big_endian(std::string& out, T value) {
  for (size_t i = sizeof(T); i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

// Takes a number off the front of `in`; false (and `in` unchanged) if it is too short.
template <typename T>
[[nodiscard]] bool take_little_endian(std::string_view& in, T& value) {
  if (in.size() < sizeof(T)) return false;
  value = 0;
  for (size_t i = 0; i < sizeof(T); i++) value |= static_cast<T>(static_cast<uint8_t>(in[i])) << (8 * i);
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

}  // namespace shima
