// Backoff: how long to wait before the next try: doubling, with jitter so that clients do not come back all
// at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace shima {

struct Backoff {
  uint32_t min_ms = 50;
  uint32_t max_ms = 1'000;

  // Delay before try number `failures` + 1, failures >= 1; `random` is any 64 random bits. Between a half and
  // all of min * 2^(failures - 1), at most max.
  uint32_t delay_ms(uint32_t failures, uint64_t random) const {
    uint64_t full = std::min<uint64_t>(max_ms, static_cast<uint64_t>(min_ms) << std::min(failures - 1, 20u));
    return static_cast<uint32_t>(full / 2 + random % (full / 2 + 1));
  }
};

}  // namespace shima
