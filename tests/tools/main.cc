// shima-blockwriter: writes pieces that know their number, and finds any that was acknowledged and is gone.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "accessserver/volume/grpc_layout.h"
#include "tests/tools/asked_to_end.h"
#include "tests/tools/block_writer.h"

namespace shima {
namespace {

struct Arguments {
  std::string volume, log, site;
  std::vector<std::string> endpoints;
  uint64_t stream = 1, span_mib = 0;
  WriteOptions write;
  VolumeClientOptions client;
};

Status run_command(const Arguments& arguments, bool verify) {
  if (!verify) end_when_asked();
  auto log = AckLog::open(arguments.log, arguments.stream);
  if (!log) return log.status();
  auto source = make_grpc_layout_source({.endpoints = arguments.endpoints});
  auto client = VolumeClient::open(*source, arguments.volume, arguments.client);
  if (!client) return client.status();
  if (verify) return verify_pieces(**client, **log, arguments.site);
  WriteOptions options = arguments.write;
  options.span_bytes = arguments.span_mib << 20;
  return write_pieces(**client, **log, options);
}

int run(int argc, char** argv) {
  CLI::App app{
      "Writes numbered 4 KiB pieces to a volume, and verifies that none that was acknowledged is lost."};
  app.footer("Exit codes: 0 done, 1 not possible, 2 wrong usage, 9 an acknowledged piece is lost or wrong.");
  app.require_subcommand(1);
  Arguments arguments;
  auto* write = app.add_subcommand(
      "write", "Write random places; goes on where the log ends. SIGTERM: end, and print the sums");
  auto* verify = app.add_subcommand("verify", "Read every place of the log");
  for (auto* command : {write, verify}) {
    command->add_option("volume", arguments.volume, "Name of the volume")->required();
    command->add_option("log", arguments.log, "File of what was acknowledged")->required();
    command->add_option("--endpoints", arguments.endpoints, "HOST:PORT of core servers' control")
        ->delimiter(',')
        ->envname("SHIMA_ENDPOINTS")
        ->required();
    command->add_option("--deadline-ms", arguments.client.deadline_ms, "of each operation")
        ->capture_default_str();
  }
  write->add_option("--seconds", arguments.write.seconds, "how long")->capture_default_str();
  write->add_option("--depth", arguments.write.depth, "writes on their way")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  write->add_option("--span-mib", arguments.span_mib, "use the first MiB only (default: all)");
  write->add_option("--seed", arguments.write.seed, "of the order of places")->capture_default_str();
  write->add_option("--max-writes", arguments.write.max_writes, "0: no limit")->capture_default_str();
  write->add_option("--stream", arguments.stream, "number of the stream, for a fresh log")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verify->add_option("--site", arguments.site, "read what this site holds (default: ask the primaries)");
  CLI11_PARSE(app, argc, argv);
  Status status = run_command(arguments, verify->parsed());
  if (status.is_ok()) return 0;
  std::fprintf(stderr, "shima-blockwriter: %s\n", status.to_string().c_str());
  return status.code() == Code::kCorrupt ? 9 : status.code() == Code::kInvalidArgument ? 2 : 1;
}

}  // namespace
}  // namespace shima

int main(int argc, char** argv) { return shima::run(argc, argv); }
