#include "hack/bench_core/process_cpu.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace shima {

Result<WatchedProcess> parse_watched_process(const std::string& text) {
  size_t equals = text.find('=');
  WatchedProcess process;
  if (equals != std::string::npos) {
    process.name = text.substr(0, equals);
    process.pid = static_cast<pid_t>(std::atol(text.c_str() + equals + 1));
  }
  if (process.name.empty() || process.pid <= 0) {
    return Status(Code::kInvalidArgument,
                  "wanted NAME=PID, for example site-a/core-0=1234, found '" + text + "'");
  }
  return process;
}

Result<uint64_t> cpu_us_of(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  size_t name_end = text.rfind(')');  // the name may hold anything, parentheses too
  if (name_end == std::string::npos)
    return Status(Code::kNotFound, "there is no process " + std::to_string(pid));
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i < 14; i++) fields >> skipped;
  uint64_t user = 0, system = 0;  // fields 14 and 15, in clock ticks
  fields >> user >> system;
  return (user + system) * 1'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
}

std::vector<uint64_t> cpu_us_of_all(const std::vector<WatchedProcess>& processes) {
  std::vector<uint64_t> all;
  for (const WatchedProcess& process : processes) {
    Result<uint64_t> used = cpu_us_of(process.pid);
    all.push_back(used ? *used : 0);
  }
  return all;
}

}  // namespace shima
