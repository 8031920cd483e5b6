// One run of the simulator: a replica group of two local members and up to two remotes, its clients, and what
// goes wrong.
#pragma once

#include <string>
#include <vector>

#include "tests/simulation/run.h"

namespace shima::simulation {

struct RunOptions {
  uint64_t operations = 120;  // writes; reads come beside them
  replication::ProtocolBugs bugs;
  bool print_trace = false;
};

struct RunResult {
  uint64_t seed = 0;
  uint64_t trace_hash = 0;
  Statistics statistics;
  std::optional<Failure> failure;
  std::vector<std::string> last_lines;  // of the trace, if it failed
};

// Deterministic: the same seed and options give the same trace. Threads: any, one run a thread.
// Failed SHIMA_CHECKs become failures if throw_on_failed_checks() was called before.
RunResult simulate(uint64_t seed, const RunOptions& options);

void throw_on_failed_checks();

}  // namespace shima::simulation
