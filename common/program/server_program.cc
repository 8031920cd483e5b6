#include "common/program/server_program.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "common/observe/log.h"
#include "common/release/release.h"

namespace shima::server_program {

std::optional<int> read_command_line(const std::string& name, const std::string& summary,
                                     const std::vector<OptionSpec>& specs, int argc, const char* const* argv,
                                     CommandLine& line) {
  if (std::find(argv + std::min(argc, 1), argv + argc, std::string_view("--version")) != argv + argc) {
    printf("%s %s\n", name.c_str(), software_version().c_str());
    return kEnded;
  }
  Result<CommandLine> read = load_command_line(specs, argc, argv);
  if (!read.is_ok()) return wrong_options(name, read.status());
  line = std::move(*read);
  switch (line.wanted) {
    case CommandLine::Wanted::kHelp:
      fputs(help_text(specs, name, summary).c_str(), stdout);
      return kEnded;
    case CommandLine::Wanted::kReference:
      fputs(reference_table(specs).c_str(), stdout);
      return kEnded;
    case CommandLine::Wanted::kRun:
      break;
  }
  return std::nullopt;
}

int wrong_options(const std::string& name, const Status& error) {
  fprintf(stderr, "%s: %s\n", name.c_str(), error.message().c_str());
  return kWrongOptions;
}

int served(const std::string& name, const Status& result) {
  if (result.is_ok()) return kEnded;
  fprintf(stderr, "%s: cannot start: %s\n", name.c_str(), result.to_string().c_str());
  return kCannotServe;
}

void set_log_level_named(const std::string& level) {
  for (const auto& [name, value] :
       {std::pair{"debug", LogLevel::kDebug}, std::pair{"info", LogLevel::kInfo},
        std::pair{"warning", LogLevel::kWarning}, std::pair{"error", LogLevel::kError}}) {
    if (level == name) return set_log_level(value);
  }
  SHIMA_CHECK(false, "a log level is debug, info, warning or error");
}

}  // namespace shima::server_program
