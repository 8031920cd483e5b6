// shima-sim: runs the protocol core of coreserver/replication under simulated time, network, disks and
// crashes. docs/reference/simulator.md describes the flags, the faults and the checkers.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/simulation/batch.h"

using namespace shima::simulation;

namespace {

constexpr const char* kUsage =
    "shima-sim [--seed N] [--runs N] [--ops N] [--bug NAME] [--expect-failure] [--no-floors] [--trace] "
    "[--threads N]\n"
    "          [--twice-every N] [-o table|json]\n"
    "  --seed N            the first seed (1)\n"
    "  --runs N            this many seeds (100)\n"
    "  --ops N             writes in each run (120)\n"
    "  --bug NAME          switches a protocol mistake on: ack-before-second-sync, ship-before-commit,\n"
    "                      trim-before-remote-durable, no-term-check, duplicate-executed-twice\n"
    "  --expect-failure    succeed only if a run fails\n"
    "  --no-floors         do not demand that each fault and check occurred often enough\n"
    "  --trace             print every line of the trace\n"
    "  --twice-every N     do each run whose seed N divides twice and compare the traces (20; 0: none)\n"
    "Exit code: 0 as hoped, 1 not, 2 wrong usage.\n";

struct Flags {
  BatchOptions batch;
  std::string bug;
  bool expect_failure = false, floors = true, json = false;
};

bool set_bug(const std::string& name, shima::replication::ProtocolBugs& bugs) {
  if (name == "ack-before-second-sync") return bugs.ack_before_second_sync = true;
  if (name == "ship-before-commit") return bugs.ship_before_commit = true;
  if (name == "trim-before-remote-durable") return bugs.trim_before_remote_durable = true;
  if (name == "no-term-check") return bugs.no_term_check = true;
  if (name == "duplicate-executed-twice") return bugs.duplicate_executed_twice = true;
  return false;
}

bool number(const char* text, uint64_t& value) {
  char* end = nullptr;
  value = text ? strtoull(text, &end, 10) : 0;
  return text && *text >= '0' && *text <= '9' && !*end;
}

bool parse(int argc, char** argv, Flags& f) {
  for (int i = 1; i < argc; i++) {
    std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    uint64_t threads = 0;
    if (flag == "--expect-failure")
      f.expect_failure = true;
    else if (flag == "--no-floors")
      f.floors = false;
    else if (flag == "--trace")
      f.batch.run.print_trace = true;
    else if (flag == "--seed" && number(value, f.batch.first_seed))
      i++;
    else if (flag == "--runs" && number(value, f.batch.runs) && f.batch.runs)
      i++;
    else if (flag == "--ops" && number(value, f.batch.run.operations))
      i++;
    else if (flag == "--twice-every" && number(value, f.batch.twice_every))
      i++;
    else if (flag == "--threads" && number(value, threads))
      f.batch.threads = static_cast<unsigned>(threads), i++;
    else if (flag == "--bug" && value && set_bug(value, f.batch.run.bugs))
      f.bug = value, i++;
    else if (flag == "-o" && value && (!strcmp(value, "table") || !strcmp(value, "json")))
      f.json = !strcmp(value, "json"), i++;
    else {
      bool help = flag == "--help";
      if (!help) fprintf(stderr, "shima-sim: cannot understand `%s`\n", argv[i]);
      fputs(kUsage, help ? stdout : stderr);
      exit(help ? 0 : 2);
    }
  }
  return true;
}

void print_failure(const Flags& f, const RunResult& r) {
  FILE* out = f.json ? stderr : stdout;
  for (const std::string& line : r.last_lines) fprintf(out, "  %s\n", line.c_str());
  fprintf(out, "seed %llu FAILED: %s: %s\n", static_cast<unsigned long long>(r.seed),
          std::string(kCheckNames[size_t(r.failure->check)]).c_str(), r.failure->words.c_str());
  std::string bug = f.bug.empty() ? "" : " --bug " + f.bug;
  fprintf(out, "trace hash %016llx; again: shima-sim --seed %llu --runs 1 --ops %llu%s --trace\n",
          static_cast<unsigned long long>(r.trace_hash), static_cast<unsigned long long>(r.seed),
          static_cast<unsigned long long>(f.batch.run.operations), bug.c_str());
}

// 0 or 1.
int verdict(const Flags& f, const BatchResult& result) {
  FILE* out = f.json ? stderr : stdout;
  if (result.failed) print_failure(f, *result.failed);
  for (uint64_t seed : result.different)
    fprintf(out, "seed %llu FAILED: two runs differ\n", static_cast<unsigned long long>(seed));
  if (!result.different.empty()) return 1;
  if (f.expect_failure) {
    if (result.failed) {
      fprintf(out, "found at run %llu, as it must be\n", static_cast<unsigned long long>(result.done));
      return 0;
    }
    fprintf(out, "FAILED: %llu runs did not find the mistake\n",
            static_cast<unsigned long long>(result.total.runs));
    return 1;
  }
  if (result.failed) return 1;
  bool floors = f.floors && result.total.runs >= 200;  // fewer say little
  std::vector<std::string> missed = floors ? missed_floors(result) : std::vector<std::string>();
  for (const std::string& words : missed) fprintf(out, "FAILED: too few %s\n", words.c_str());
  if (missed.empty()) fprintf(out, "no violation found%s\n", floors ? ", all floors reached" : "");
  return missed.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  parse(argc, argv, flags);
  auto begin = std::chrono::steady_clock::now();
  BatchResult result = run_batch(flags.batch);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fputs((flags.json ? as_json(result) : as_table(result)).c_str(), stdout);
  fprintf(stderr, "%.1f s, %.0f runs a second\n", seconds, static_cast<double>(result.total.runs) / seconds);
  return verdict(flags, result);
}
