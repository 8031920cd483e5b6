// run_server_program(): the main() of a server, from its command line to its exit code.
//
// Reads the command line (--help, --version and --print-reference answer on stdout), makes the server's own
// options of it, sets the level of the log, blocks the ending signals (ending_signals.h) and serves until
// serve() returns. Errors go to stderr with the program's name before them. Exit codes: 0 ended as asked, 1
// could not serve, 2 the command line or the configuration is wrong.
//
// Options is a struct with `std::string log_level`: error, warning, info or debug. Threads: before any other
// thread starts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config/options.h"
#include "common/program/ending_signals.h"
#include "common/status/status.h"

namespace shima {

template <typename Options>
struct ServerProgram {
  std::string name;     // "shima-coreserver"
  std::string summary;  // one sentence for --help
  const std::vector<OptionSpec>& specs;
  std::function<Result<Options>(const Config&)> options_from;
  std::function<Status(const Options&)> serve;  // until wait_for_ending_signal(); an error: could not start
};

// The parts that do not depend on Options.
namespace server_program {

inline constexpr int kEnded = 0, kCannotServe = 1, kWrongOptions = 2;

// None if `line` says to run; else the exit code, and what was asked for or what is wrong has been printed.
std::optional<int> read_command_line(const std::string& name, const std::string& summary,
                                     const std::vector<OptionSpec>& specs, int argc, const char* const* argv,
                                     CommandLine& line);
int wrong_options(const std::string& name, const Status& error);
int served(const std::string& name, const Status& result);
// An unknown name is our own mistake: OptionSpec::allowed keeps users from it.
void set_log_level_named(const std::string& level);

}  // namespace server_program

template <typename Options>
int run_server_program(const ServerProgram<Options>& program, int argc, const char* const* argv) {
  CommandLine line;
  const std::optional<int> answered =
      server_program::read_command_line(program.name, program.summary, program.specs, argc, argv, line);
  if (answered) return *answered;
  const Result<Options> options = program.options_from(line.config);
  if (!options.is_ok()) return server_program::wrong_options(program.name, options.status());
  server_program::set_log_level_named(options->log_level);
  block_ending_signals();
  return server_program::served(program.name, program.serve(*options));
}

}  // namespace shima
