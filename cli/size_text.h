// Sizes and durations as people type them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status/status.h"

namespace shima {

// "4096", "64KiB", "1 MiB", "10GiB", "2TiB" -> bytes. Only whole numbers; kInvalidArgument says what is
// allowed.
Result<uint64_t> parse_size(std::string_view text);

// "2", "0.5", "500ms", "2s", "1min" -> milliseconds; without a unit: seconds. At least 1 ms, at most a day.
Result<int> parse_duration_ms(std::string_view text);

// 256.0 MiB; below 1 KiB: 12 B
std::string format_bytes(uint64_t bytes);
// 0.02 s, 12.3 s, 3 min 20 s, 2 h 5 min
std::string format_seconds(double seconds);

}  // namespace shima
