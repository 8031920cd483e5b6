// posix_nfs_random_tree: random operations on a directory tree through NFSv3, against a reference directory
// and a model. See nfs_random_tree.h.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/posix/nfs/nfs_random_tree.h"
#include "tests/posix/nfs/nfs_target.h"

namespace {

int run(int argc, char** argv) {
  shima::RandomTreeOptions options;
  shima::NfsTarget target;
  CLI::App app(
      "Random operations on a tree through NFSv3, compared with a reference file system and a model. As "
      "root.");
  target.add_options(app);
  options.add_options(app);
  CLI11_PARSE(app, argc, argv);
  options.remember(argc, argv);
  if (geteuid() != 0) {
    std::printf("nfs_random_tree: SKIPPED: it takes root to act as several users in the reference\n");
    return 77;
  }
  if (!target.start(options.run.seed)) return 1;
  return shima::run_to_the_end("nfs_random_tree", options.run,
                               shima::NfsRandomTree(options, target.servers, target.volume));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
