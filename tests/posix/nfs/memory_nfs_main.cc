// posix_memory_nfs: serves a volume that lives in this process's memory by NFSv3, through one or several
// servers, until SIGINT or SIGTERM. Prints HOST:PORT of each, one a line. What is in it is gone afterwards.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/posix/nfs/memory_nfs.h"

namespace {

int serve(const shima::MemoryNfsOptions& options, const sigset_t& signals) {
  const auto started = shima::MemoryNfs::start(options);
  if (!started) {
    std::fprintf(stderr, "%s\n", started.status().to_string().c_str());
    return 1;
  }
  for (const std::string& server : (*started)->servers()) std::printf("%s\n", server.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}

int run(int argc, char** argv) {
  shima::MemoryNfsOptions options;
  options.volume.block_size = 64 << 10;  // small, so that small files have many
  CLI::App app(
      "Serves a volume in memory by NFSv3 until SIGINT or SIGTERM. Prints HOST:PORT of each server.");
  app.add_option("--servers", options.servers, "access servers of the volume")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  app.add_option("--port", options.ports, "of each server; 0: any");
  app.add_option("--volume", options.volume.name, "its name")->capture_default_str();
  app.add_option("--block-size", options.volume.block_size, "bytes")->capture_default_str();
  app.add_option("--max-delay-ms", options.volume.max_delay_ms,
                 "each request and reply waits so long at most")
      ->capture_default_str();
  app.add_flag("--reorder", options.volume.reorder, "of all steps that could happen next a random one does");
  app.add_option("--seed", options.volume.seed, "of --reorder and --max-delay-ms")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  // Before any thread starts, so that none but sigwait gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return serve(options, signals);
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
