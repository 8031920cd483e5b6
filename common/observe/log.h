// log(): one line for people on standard error, with the time, the level and the component.
//
// "2026-01-02T03:04:05.678Z warning transport: closed 10.0.0.2:7000: wrong magic ..."
// Threads: any; lines are not mixed. Whoever may repeat a line many times a second uses a LogLimit.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace shima {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

void log(LogLevel level, std::string_view component, std::string_view text);
void set_log_level(LogLevel lowest);  // what is below is dropped; kInfo at the start

// Lets one line a key through in each interval. Remembers at most 1,024 keys. Threads: any.
class LogLimit {
 public:
  explicit LogLimit(uint64_t interval_ms) : interval_ms_(interval_ms) {}
  // True if a line for `key` is due; `suppressed` then says how many were held back since the last one.
  bool allow(const std::string& key, uint64_t now_ms, uint64_t& suppressed);

 private:
  struct Entry {
    uint64_t last_ms = 0;
    uint64_t suppressed = 0;
  };
  const uint64_t interval_ms_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace shima
