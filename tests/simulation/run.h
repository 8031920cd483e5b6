// Run: what all parts of one simulated run share: its parameters, chance, time, trace, counts, and its first
// failure.
#pragma once

#include <optional>
#include <string>

#include "tests/simulation/agenda.h"
#include "tests/simulation/parameters.h"
#include "tests/simulation/random.h"
#include "tests/simulation/statistics.h"
#include "tests/simulation/trace.h"

namespace shima::simulation {

struct Failure {
  Check check;
  std::string words;
};

struct Run {
  Run(uint64_t seed, uint64_t operations, const replication::ProtocolBugs& bugs, bool print_trace)
      : random(seed * 0x9e3779b97f4a7c15ull + 1),
        parameters(draw_parameters(random, operations, bugs)),
        trace(print_trace) {}

  Random random;
  Parameters parameters;
  Agenda agenda;
  Trace trace;
  Statistics statistics;
  bool chaos = true;
  std::optional<Failure> failure;  // the first one

  // Counts the check; `words()` says what was found if it fails.
  template <typename Words>
  bool check(Check what, bool holds, Words&& words) {
    statistics.checks[size_t(what)]++;
    if (!holds) fail(what, words());
    return holds;
  }
  void fail(Check what, std::string words) {
    if (!failure) failure = Failure{what, std::move(words)};
  }
  void note(uint64_t who, const char* what, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
    trace.note(agenda.now_us(), who, what, a, b, c);
  }
};

}  // namespace shima::simulation
