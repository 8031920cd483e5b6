// posix_nfs_random_tree: random operations on a directory tree through NFSv3, against a reference directory
// and a model. See nfs_random_tree.h.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/posix/nfs/nfs_random_tree.h"
#include "tests/posix/nfs/nfs_target.h"

namespace {

int run(int argc, char** argv) {
  shima::NfsRandomTreeOptions options;
  shima::NfsTarget target;
  bool no_times = false;
  CLI::App app(
      "Random operations on a tree through NFSv3, compared with a reference file system and a model. As "
      "root.");
  target.add_options(app);
  app.add_option("--reference", options.reference, "a directory on ext4 or tmpfs")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--seed", options.seed, "the same seed does the same operations")->capture_default_str();
  app.add_option("--operations", options.operations, "how many")->capture_default_str();
  app.add_option("--names", options.names, "about so many names exist at a time")
      ->check(CLI::Range(uint64_t{5}, uint64_t{100'000}))
      ->capture_default_str();
  app.add_flag("--no-times", no_times, "do not compare which times change (kernels before 6.13)");
  app.add_flag("--trace", options.trace, "print every step");
  CLI11_PARSE(app, argc, argv);
  options.compare_times = !no_times;
  for (int i = 0; i < argc; ++i) options.again += (i ? " " : "") + std::string(argv[i]);

  if (geteuid() != 0) {
    std::printf("nfs_random_tree: SKIPPED: it takes root to act as several users in the reference\n");
    return 77;
  }
  if (!target.start(options.seed)) return 1;
  options.servers = target.servers;
  options.volume = target.volume;
  std::printf("nfs_random_tree: seed %llu, %llu operations\n", static_cast<unsigned long long>(options.seed),
              static_cast<unsigned long long>(options.operations));
  shima::NfsRandomTree(options).run();
  std::printf("nfs_random_tree: no difference\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
