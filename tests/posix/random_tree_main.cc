// posix_random_tree: random operations on the tree of any mounted directory, against a reference directory
// and a model. See mounted_random_tree.h.
#include <CLI/CLI.hpp>

#include "tests/posix/mounted_random_tree.h"

namespace {

int run(int argc, char** argv) {
  shima::RandomTreeOptions options;
  std::vector<std::string> directories;
  CLI::App app(
      "Random operations on a directory tree, compared with a reference file system and a model. As root.");
  app.add_option("directories", directories, "directories; several: mounts of one volume, used in turn")
      ->required()
      ->check(CLI::ExistingDirectory);
  options.add_options(app);
  CLI11_PARSE(app, argc, argv);
  options.remember(argc, argv);
  return shima::run_to_the_end("random_tree", options.run, shima::MountedRandomTree(options, directories));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
