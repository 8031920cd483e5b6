// SeededRandom: the same numbers for the same seed on every machine (splitmix64), so that a failing step can
// be run again. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shima {

class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // In [0, bound); 0 if bound is 0.
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  // In [low, high].
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool one_in(uint64_t n) { return below(n) == 0; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  void fill(uint8_t* bytes, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
      const uint64_t word = next();
      for (size_t k = 0; k < 8 && i + k < size; ++k) bytes[i + k] = static_cast<uint8_t>(word >> (8 * k));
    }
  }

 private:
  uint64_t state_;
};

}  // namespace shima
