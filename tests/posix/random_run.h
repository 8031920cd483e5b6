// RandomRun: what every random tester is told on its command line, and what its program says and returns.
// Threads: one at a time.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

namespace shima {

struct RandomRun {
  uint64_t seed = 1;
  uint64_t operations = 100'000;
  bool trace = false;  // print every step
  std::string again;   // the command line, for the report

  void add_options(CLI::App& app) {
    app.add_option("--seed", seed, "the same seed does the same operations")->capture_default_str();
    app.add_option("--operations", operations, "how many")->capture_default_str();
    app.add_flag("--trace", trace, "print every step");
  }
  void remember(int argc, char** argv) {
    for (int i = 0; i < argc; ++i) again += (i ? " " : "") + std::string(argv[i]);
  }
};

// Of the testers of one file.
struct RandomFileOptions {
  RandomRun run;
  uint64_t max_size = 1 << 20;  // bytes
  uint64_t max_io = 64 << 10;   // bytes of one operation

  void add_options(CLI::App& app, uint64_t largest_io) {
    run.add_options(app);
    app.add_option("--max-size", max_size, "largest size of the file, bytes")
        ->check(CLI::Range(uint64_t{8192}, uint64_t{1} << 30))
        ->capture_default_str();
    app.add_option("--max-io", max_io, "largest read or write, bytes")
        ->check(CLI::Range(uint64_t{4096}, largest_io))
        ->capture_default_str();
  }
  void remember(int argc, char** argv) {
    max_io = std::min(max_io, max_size);
    run.remember(argc, argv);
  }
};

// Of the testers of a tree.
struct RandomTreeOptions {
  RandomRun run;
  std::string reference;      // a directory
  uint64_t names = 150;       // about so many names exist at a time
  bool compare_times = true;  // off where the reference's clock is too coarse (Linux before 6.13)

  void add_options(CLI::App& app) {
    run.add_options(app);
    app.add_option("--reference", reference, "a directory on ext4 or tmpfs")
        ->required()
        ->check(CLI::ExistingDirectory);
    app.add_option("--names", names, "about so many names exist at a time")
        ->check(CLI::Range(uint64_t{5}, uint64_t{100'000}))
        ->capture_default_str();
    app.add_flag("!--no-times", compare_times, "do not compare which times change (kernels before 6.13)");
  }
  void remember(int argc, char** argv) { run.remember(argc, argv); }
};

// Runs a tester, which ends the process at the first difference; the exit code.
template <typename Tester>
int run_to_the_end(const char* name, const RandomRun& run, Tester&& tester) {
  std::printf("%s: seed %llu, %llu operations\n", name, static_cast<unsigned long long>(run.seed),
              static_cast<unsigned long long>(run.operations));
  tester.run();
  std::printf("%s: no difference\n", name);
  return 0;
}

}  // namespace shima
