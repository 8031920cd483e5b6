// posix_nfs_random_file: random operations on one file through NFSv3, against a model. See nfs_random_file.h.
#include <CLI/CLI.hpp>

#include "tests/posix/nfs/nfs_random_file.h"
#include "tests/posix/nfs/nfs_target.h"

namespace {

int run(int argc, char** argv) {
  shima::RandomFileOptions options;
  shima::NfsTarget target;
  CLI::App app("Random operations on one file through NFSv3, compared with a model of its bytes.");
  target.add_options(app);
  options.add_options(app, uint64_t{1} << 20);
  CLI11_PARSE(app, argc, argv);
  options.remember(argc, argv);
  if (!target.start(options.run.seed)) return 1;
  return shima::run_to_the_end("nfs_random_file", options.run,
                               shima::NfsRandomFile(options, target.servers, target.volume));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
