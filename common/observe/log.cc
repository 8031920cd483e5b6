#include "common/observe/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <ctime>

namespace shima {
namespace {

std::atomic<LogLevel> lowest_level{LogLevel::kInfo};

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

}  // namespace

void set_log_level(LogLevel lowest) { lowest_level = lowest; }

void log(LogLevel level, std::string_view component, std::string_view text) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char stamp[64];
  size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(stamp + n, sizeof stamp - n, ".%03ldZ %s ", now.tv_nsec / 1'000'000, level_name(level));
  std::string line = stamp;
  line.append(component).append(": ").append(text).append("\n");
  // One write a line: lines of several threads and processes do not mix. Nobody could be told of a failure.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

bool LogLimit::allow(const std::string& key, uint64_t now_ms, uint64_t& suppressed) {
  std::lock_guard lock(mutex_);
  if (entries_.size() >= 1024 && !entries_.contains(key)) entries_.clear();
  auto [it, added] = entries_.try_emplace(key);
  Entry& entry = it->second;
  if (!added && now_ms - entry.last_ms < interval_ms_) {
    entry.suppressed++;
    return false;
  }
  suppressed = entry.suppressed;
  entry = {now_ms, 0};
  return true;
}

}  // namespace shima
