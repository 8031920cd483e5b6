// shima-accessserver: NFS for all volumes of a cluster, or one volume mounted with FUSE. See --help and
// docs/reference/configuration.md.
#include <signal.h>

#include <cstdio>

#include "accessserver/options/access_options.h"
#include "accessserver/server/serving.h"
#include "common/config/options.h"
#include "common/observe/log.h"
#include "common/runtime/allocator.h"

namespace {

int run(const shima::AccessOptions& options) {
  using shima::LogLevel;
  shima::set_log_level(options.log_level == "debug"     ? LogLevel::kDebug
                       : options.log_level == "info"    ? LogLevel::kInfo
                       : options.log_level == "warning" ? LogLevel::kWarning
                                                        : LogLevel::kError);
  const sigset_t ends = shima::ending_signals();
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before any thread starts, so that sigwait gets them
  signal(SIGPIPE, SIG_IGN);
  const shima::Status served =
      options.mount.empty() ? shima::serve_nfs(options) : shima::serve_mount(options);
  if (served.is_ok()) return 0;
  fprintf(stderr, "shima-accessserver: cannot start: %s\n", served.to_string().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  shima::keep_large_buffers();
  const auto& specs = shima::access_option_specs();
  auto line = shima::load_command_line(specs, argc, argv);
  if (!line.is_ok()) {
    fprintf(stderr, "shima-accessserver: %s\n", line.status().message().c_str());
    return 2;
  }
  if (line->wanted == shima::CommandLine::Wanted::kHelp) {
    fputs(shima::help_text(specs, "shima-accessserver",
                           "One access server of Shima: NFS for all volumes, or a FUSE mount of one.")
              .c_str(),
          stdout);
    return 0;
  }
  if (line->wanted == shima::CommandLine::Wanted::kReference) {
    fputs(shima::reference_table(specs).c_str(), stdout);
    return 0;
  }
  auto options = shima::access_options_from(line->config);
  if (!options.is_ok()) {
    fprintf(stderr, "shima-accessserver: %s\n", options.status().message().c_str());
    return 2;
  }
  return run(*options);
}
