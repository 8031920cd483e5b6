// The cases of `shima-bench core`: {write,read}-{4k,1m}-d{1,16}, run through the volume client.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "accessserver/volume/volume_client.h"
#include "common/status/status.h"
#include "hack/bench_core/process_cpu.h"

namespace shima {

struct VolumeCase {
  std::string name;
  bool write = false;
  bool sequential = false;  // else: random aligned offsets
  uint32_t size = 4096;     // bytes of each operation
  uint32_t depth = 1;       // operations in flight
};

// The eight that are run when none is named.
std::vector<VolumeCase> all_volume_cases();
// {write|read}-SIZE{k|m}-dDEPTH; 1 MiB and more are sequential, less is random.
Result<VolumeCase> parse_volume_case(const std::string& name);

struct VolumeBenchOptions {
  double seconds = 10;
  double warm_up_seconds = 1;
  uint32_t interval_ms = 0;               // 0: one line a case; else one line each interval as well
  uint64_t span_bytes = 256u << 20;       // the case touches the volume's first bytes, up to here
  std::vector<WatchedProcess> processes;  // whose CPU time is told
};

// Writes the span once, so that reads find bytes. Progress is not told.
Status fill_volume(VolumeClient& client, uint64_t span_bytes);
// Runs the case and prints one JSON line (and the intervals' lines before it).
Status run_volume_case(VolumeClient& client, const VolumeCase& volume_case,
                       const VolumeBenchOptions& options);

}  // namespace shima
