// posix_nfs_random_file: random operations on one file through NFSv3, against a model. See nfs_random_file.h.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/posix/nfs/nfs_random_file.h"
#include "tests/posix/nfs/nfs_target.h"

namespace {

int run(int argc, char** argv) {
  shima::NfsRandomFileOptions options;
  shima::NfsTarget target;
  CLI::App app("Random operations on one file through NFSv3, compared with a model of its bytes.");
  target.add_options(app);
  app.add_option("--seed", options.seed, "the same seed does the same operations")->capture_default_str();
  app.add_option("--operations", options.operations, "how many")->capture_default_str();
  app.add_option("--max-size", options.max_size, "largest size of the file, bytes")
      ->check(CLI::Range(uint64_t{65536}, uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--max-io", options.max_io, "largest read or write, bytes")
      ->check(CLI::Range(uint64_t{4096}, uint64_t{1} << 20))
      ->capture_default_str();
  app.add_flag("--trace", options.trace, "print every step");
  CLI11_PARSE(app, argc, argv);
  options.max_io = std::min(options.max_io, options.max_size);
  for (int i = 0; i < argc; ++i) options.again += (i ? " " : "") + std::string(argv[i]);

  if (!target.start(options.seed)) return 1;
  options.servers = target.servers;
  options.volume = target.volume;
  std::printf("nfs_random_file: seed %llu, %llu operations\n", static_cast<unsigned long long>(options.seed),
              static_cast<unsigned long long>(options.operations));
  shima::NfsRandomFile(options).run();
  std::printf("nfs_random_file: no difference\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
