#include "hack/bench_files/file_cases.h"

#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>

namespace shima {
namespace {

double rounded(double value) { return std::round(value * 100) / 100; }

}  // namespace

Result<FileCase> parse_file_case(const std::string& name) {
  static const std::regex data("(write|read)-([0-9]{1,4})(k|m)-d([0-9]{1,3})"),
      other("(create|stat|list)-d([0-9]{1,3})");
  std::smatch match;
  FileCase result;
  result.name = name;
  if (std::regex_match(name, match, data)) {
    const uint64_t size = std::stoull(match[2]) << (match[3] == "k" ? 10 : 20);
    result.kind = match[1] == "write" ? FileCase::Kind::kWrite : FileCase::Kind::kRead;
    result.depth = static_cast<uint32_t>(std::stoul(match[4]));
    result.size = static_cast<uint32_t>(size);
    if (size > 0 && size <= (1u << 20) && result.depth > 0) return result;
  } else if (std::regex_match(name, match, other)) {
    result.kind = match[1] == "create" ? FileCase::Kind::kCreate
                  : match[1] == "stat" ? FileCase::Kind::kStat
                                       : FileCase::Kind::kList;
    result.depth = static_cast<uint32_t>(std::stoul(match[2]));
    if (result.depth > 0) return result;
  }
  return Status(Code::kInvalidArgument,
                "wanted a case such as write-4k-d16, read-1m-d8 (1 MiB at most), create-d1, stat-d8 or "
                "list-d1, found '" +
                    name + "'");
}

CaseMeter::CaseMeter(const FileBenchOptions& options)
    : options_(options),
      begin_us_(monotonic_us() + static_cast<uint64_t>(options.warm_up_seconds * 1e6)),
      end_us_(begin_us_ + static_cast<uint64_t>(options.seconds * 1e6)) {}

void CaseMeter::record(uint64_t started_us, uint64_t now_us) {
  if (now_us >= begin_us_ && now_us < end_us_) latency_us_.record(now_us - started_us);
}

void CaseMeter::read_cpu() { cpu_us_.push_back(cpu_us_of_all(options_.processes)); }

void CaseMeter::print(const FileCase& file_case) const {
  const auto operations = static_cast<double>(latency_us_.count());
  nlohmann::ordered_json line;
  line["case"] = file_case.name;
  line["target"] = options_.target;
  line["seconds"] = rounded(options_.seconds);
  line["operations"] = latency_us_.count();
  line["ops_s"] = rounded(operations / options_.seconds);
  if (file_case.size > 0) line["mb_s"] = rounded(operations * file_case.size / 1e6 / options_.seconds);
  line["p50_us"] = latency_us_.quantile(0.5);
  line["p99_us"] = latency_us_.quantile(0.99);
  line["max_us"] = latency_us_.max();
  nlohmann::ordered_json cpu = nlohmann::ordered_json::object();
  for (size_t i = 0; cpu_us_.size() >= 2 && i < options_.processes.size() && operations > 0; i++) {
    const uint64_t first = cpu_us_.front()[i], last = cpu_us_.back()[i];
    cpu[options_.processes[i].name] =
        rounded(static_cast<double>(last > first ? last - first : 0) / operations);
  }
  line["cpu_us_per_op"] = cpu;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

uint64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

const std::vector<char>& bench_pattern() {
  static const std::vector<char> pattern = [] {
    std::vector<char> bytes(kPatternBytes);
    std::mt19937_64 random(1);
    for (size_t i = 0; i < kPatternBytes; i += 8) {
      const uint64_t word = random();
      std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    return bytes;
  }();
  return pattern;
}

}  // namespace shima
