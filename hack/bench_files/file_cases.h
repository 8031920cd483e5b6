// The cases of shima-bench-files, and what is measured of each: the same for an NFS server and for a mounted
// folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/observe/histogram.h"
#include "common/status/status.h"
#include "hack/bench_core/process_cpu.h"

namespace shima {

struct FileCase {
  enum class Kind : uint8_t { kWrite, kRead, kCreate, kStat, kList };
  std::string name;
  Kind kind = Kind::kWrite;
  uint32_t size = 0;   // bytes of each read or write
  uint32_t depth = 1;  // operations in flight
};

// {write,read}-SIZE-dDEPTH (synced writes; below 1m at random places, else one after the other),
// create-dDEPTH, stat-dDEPTH (of one of 1,000 files), list-dDEPTH (a folder of 1,000 files with their
// attributes).
Result<FileCase> parse_file_case(const std::string& name);

constexpr uint32_t kListedFiles = 1000;

struct FileBenchOptions {
  std::string target;  // what is measured, for the output
  double seconds = 3;
  double warm_up_seconds = 0.5;
  uint64_t span_bytes = 64u << 20;  // of the file that is read and written
  std::vector<WatchedProcess> processes;
};

// Times of operations that ended within the measured time, and the CPU time that processes used meanwhile.
// One thread.
class CaseMeter {
 public:
  explicit CaseMeter(const FileBenchOptions& options);
  // Notes an operation; begins to measure when the warm-up is over.
  void record(uint64_t started_us, uint64_t now_us);
  bool over(uint64_t now_us) const { return now_us >= end_us_; }
  void merge(const CaseMeter& other) { latency_us_.merge(other.latency_us_); }
  // Reads the processes' CPU times: at begin and end of the measured time, by one meter of all.
  void read_cpu();
  void print(const FileCase& file_case) const;
  uint64_t begin_us() const { return begin_us_; }

 private:
  const FileBenchOptions& options_;
  uint64_t begin_us_, end_us_;
  Histogram latency_us_;
  std::vector<std::vector<uint64_t>> cpu_us_;  // of each reading
};

uint64_t monotonic_us();
// Bytes that do not compress, kPatternBytes of them.
const std::vector<char>& bench_pattern();
constexpr size_t kPatternBytes = 4u << 20;

}  // namespace shima
