// shima-dump: shows what lies in a core server's files. Reads only; the server may be running or dead.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/dump/dump_blocks.h"
#include "cli/dump/dump_journal.h"
#include "common/release/release.h"

namespace {

void add_blocks_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<shima::DumpBlocksOptions>();
  CLI::App* command = app.add_subcommand("blocks", "Blocks of each group in a disk's block store");
  command
      ->add_option("path", options->directory, "directory of a core server's disk: holds blocks/ and index/")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("--group", options->group, "only this group, as VOLUME/INDEX");
  command->add_flag("--verify", options->verify, "read every block and check it");
  command->add_option("-o,--output", options->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  command->callback([options, &exit_code] { exit_code = shima::dump_blocks(*options); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Shows what lies in the files of a Shima core server. Reads only.");
  app.set_version_flag("--version", "shima-dump " + shima::software_version());
  app.require_subcommand(1);
  int exit_code = 0;
  shima::add_journal_command(app, exit_code);
  add_blocks_command(app, exit_code);
  CLI11_PARSE(app, argc, argv);
  return exit_code;
}
