// RetryDelay: how long to wait after the n-th failure in a row: doubling from `first_ms` to `most_ms`, and of
// that a random part between a half and all, so that many clients do not come back at the same time.
//
// PURE: randomness is handed in.
#pragma once

#include <cstdint>

namespace shima {

struct RetryDelay {
  uint64_t first_ms = 500;
  uint64_t most_ms = 30'000;

  // `failures`: from 1; 0 is no delay.
  uint64_t after(uint32_t failures) const {
    if (failures == 0) return 0;
    uint64_t delay = first_ms;
    for (uint32_t i = 1; i < failures && delay < most_ms; ++i) delay *= 2;
    return delay < most_ms ? delay : most_ms;
  }
  uint64_t after(uint32_t failures, uint64_t random) const {
    const uint64_t delay = after(failures);
    return delay - delay / 2 + (delay / 2 ? random % (delay / 2 + 1) : 0);
  }
};

}  // namespace shima
