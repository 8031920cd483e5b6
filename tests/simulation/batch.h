// A batch of runs: seeds in order, on all cores; a share is run twice and compared; and the report for people
// or programs.
#pragma once

#include <string>

#include "tests/simulation/world.h"

namespace shima::simulation {

struct BatchOptions {
  uint64_t first_seed = 1, runs = 100;
  uint64_t twice_every = 20;  // each such run is done twice, and the traces must be the same; 0: none
  unsigned threads = 0;       // 0: one a core
  RunOptions run;
};

struct BatchResult {
  Statistics total;
  uint64_t trace_hash = 0;          // over all runs, in order of seeds
  uint64_t compared = 0;            // runs that were done twice
  std::vector<uint64_t> different;  // seeds whose two traces differ
  uint64_t done = 0;                // runs before and including the first failure
  std::optional<RunResult> failed;  // the lowest seed that failed
};

BatchResult run_batch(const BatchOptions& options);

// What a batch of this many runs must at least have met; the words say what was missing.
std::vector<std::string> missed_floors(const BatchResult& result);

std::string as_table(const BatchResult& result);
std::string as_json(const BatchResult& result);

}  // namespace shima::simulation
