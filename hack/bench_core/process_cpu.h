// CPU time of processes, from /proc/PID/stat: user and system, all threads, in steps of 10 ms.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct WatchedProcess {
  std::string name;
  pid_t pid = 0;
};

// "site-a/core-0=1234"
Result<WatchedProcess> parse_watched_process(const std::string& text);

// Microseconds since the process began; kNotFound if there is no such process.
Result<uint64_t> cpu_us_of(pid_t pid);

// One value a process; 0 for one that is gone.
std::vector<uint64_t> cpu_us_of_all(const std::vector<WatchedProcess>& processes);

}  // namespace shima
