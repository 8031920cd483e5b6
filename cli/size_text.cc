#include "cli/size_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace shima {
namespace {

struct Unit {
  std::string_view name;
  uint64_t bytes;
};
constexpr Unit kUnits[] = {
    {"", 1}, {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}};

template <typename... Arguments>
std::string print(const char* format, Arguments... arguments) {
  char text[64];
  std::snprintf(text, sizeof text, format, arguments...);
  return text;
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  const Status bad(
      Code::kInvalidArgument,
      "wanted a size such as 4096, 64KiB, 512MiB, 10GiB or 2TiB, found '" + std::string(text) + "'");
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return bad;
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    if (number > UINT64_MAX / known.bytes) {
      return {Code::kInvalidArgument,
              "the size " + std::string(text) + " does not fit into 64 bits; use a smaller one"};
    }
    return number * known.bytes;
  }
  return bad;
}

Result<int> parse_duration_ms(std::string_view text) {
  const Status bad(Code::kInvalidArgument,
                   "wanted a time from 1ms to a day such as 2, 0.5, 500ms, 10s or 1min, found '" +
                       std::string(text) + "'");
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return bad;
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  double scale = 0;
  if (unit.empty() || unit == "s") scale = 1000;
  if (unit == "ms") scale = 1;
  if (unit == "min") scale = 60000;
  const double ms = number * scale;
  if (!(ms >= 1 && ms <= 86400e3)) return bad;
  return static_cast<int>(ms);
}

std::string format_bytes(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  const char* const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  while (value >= 1023.95 && unit < 5) {
    value /= 1024;
    ++unit;
  }
  return print("%.1f %s", value, names[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds < 10) return print("%.2f s", seconds);
  if (seconds < 100) return print("%.1f s", seconds);
  const auto whole = static_cast<unsigned long>(std::llround(seconds));
  if (whole < 3600) return print("%lu min %lu s", whole / 60, whole % 60);
  return print("%lu h %lu min", whole / 3600, whole % 3600 / 60);
}

}  // namespace shima
