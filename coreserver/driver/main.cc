// shima-coreserver: one core server. See --help and docs/reference/configuration.md.
#include <signal.h>

#include <cstdio>

#include "common/config/options.h"
#include "common/observe/log.h"
#include "common/runtime/allocator.h"
#include "coreserver/driver/core_server.h"
#include "coreserver/options/server_options.h"

namespace {

int run(const shima::ServerOptions& options) {
  using shima::LogLevel;
  shima::set_log_level(options.log_level == "debug"     ? LogLevel::kDebug
                       : options.log_level == "info"    ? LogLevel::kInfo
                       : options.log_level == "warning" ? LogLevel::kWarning
                                                        : LogLevel::kError);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before any thread starts, so that sigwait gets them
  signal(SIGPIPE, SIG_IGN);
  auto server = shima::CoreServer::start(options);
  if (!server.is_ok()) {
    fprintf(stderr, "shima-coreserver: cannot start: %s\n", server.status().to_string().c_str());
    return 1;
  }
  int signal_number = 0;
  sigwait(&ends, &signal_number);
  shima::log(LogLevel::kInfo, "server", "stopping");
  (*server)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  shima::keep_large_buffers();
  const auto& specs = shima::server_option_specs();
  auto line = shima::load_command_line(specs, argc, argv);
  if (!line.is_ok()) {
    fprintf(stderr, "shima-coreserver: %s\n", line.status().message().c_str());
    return 2;
  }
  if (line->wanted == shima::CommandLine::Wanted::kHelp) {
    fputs(shima::help_text(specs, "shima-coreserver",
                           "One core server of Shima: journal, blocks, replica groups.")
              .c_str(),
          stdout);
    return 0;
  }
  if (line->wanted == shima::CommandLine::Wanted::kReference) {
    fputs(shima::reference_table(specs).c_str(), stdout);
    return 0;
  }
  auto options = shima::server_options_from(line->config);
  if (!options.is_ok()) {
    fprintf(stderr, "shima-coreserver: %s\n", options.status().message().c_str());
    return 2;
  }
  return run(*options);
}
