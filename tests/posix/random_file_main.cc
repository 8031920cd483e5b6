// posix_random_file: random operations on one file of any mounted directory, against a model. See
// mounted_random_file.h.
#include <CLI/CLI.hpp>

#include "tests/posix/mounted_random_file.h"

namespace {

int run(int argc, char** argv) {
  shima::RandomFileOptions options;
  std::vector<std::string> directories;
  CLI::App app("Random operations on one file, compared with a model of its bytes.");
  app.add_option("directories", directories, "directories; several: mounts of one volume, used in turn")
      ->required()
      ->check(CLI::ExistingDirectory);
  options.add_options(app, uint64_t{16} << 20);
  CLI11_PARSE(app, argc, argv);
  options.remember(argc, argv);
  return shima::run_to_the_end("random_file", options.run, shima::MountedRandomFile(options, directories));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
