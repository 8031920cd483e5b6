// shima-bench: measures the core through the volume client, and the transport by itself. hack/bench runs it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "accessserver/volume/grpc_layout.h"
#include "hack/bench_core/transport_bench.h"
#include "hack/bench_core/volume_cases.h"

namespace shima {
namespace {

struct CoreArguments {
  std::vector<std::string> cases, endpoints, processes;
  std::string volume = "bench";
  uint64_t span_mib = 256;
  bool no_fill = false;
  VolumeBenchOptions bench;
  VolumeClientOptions client;
};

Status run_core_cases(VolumeClient& client, const std::vector<VolumeCase>& cases,
                      const CoreArguments& arguments) {
  bool filled = arguments.no_fill;
  for (const VolumeCase& volume_case : cases) {
    uint64_t size = client.layout().size_bytes;
    uint64_t span = size == 0 ? arguments.bench.span_bytes : std::min(size, arguments.bench.span_bytes);
    if (!volume_case.write && !filled) {
      SHIMA_RETURN_IF_ERROR(fill_volume(client, span));
      filled = true;
    }
    SHIMA_RETURN_IF_ERROR(run_volume_case(client, volume_case, arguments.bench));
  }
  return {};
}

Status run_core(CoreArguments arguments) {
  if (arguments.endpoints.empty()) {
    return {Code::kInvalidArgument,
            "wanted core servers' control addresses in --endpoints or SHIMA_ENDPOINTS; hack/bench core sets "
            "them"};
  }
  std::vector<VolumeCase> cases;
  for (const std::string& name : arguments.cases) {
    Result<VolumeCase> parsed = parse_volume_case(name);
    if (!parsed) return parsed.status();
    cases.push_back(*parsed);
  }
  if (cases.empty()) cases = all_volume_cases();
  for (const std::string& text : arguments.processes) {
    Result<WatchedProcess> process = parse_watched_process(text);
    if (!process) return process.status();
    arguments.bench.processes.push_back(*process);
  }
  arguments.bench.span_bytes = arguments.span_mib << 20;
  auto source = make_grpc_layout_source({.endpoints = arguments.endpoints});
  auto client = VolumeClient::open(*source, arguments.volume, arguments.client);
  if (!client) return client.status();
  return run_core_cases(**client, cases, arguments);
}

int run(int argc, char** argv) {
  CLI::App app{
      "Measures Shima's core servers through the volume client (core), or the transport by itself "
      "(transport)."};
  app.require_subcommand(1);
  CoreArguments arguments;
  auto* core = app.add_subcommand("core", "Read and write a volume; one JSON line a case");
  core->add_option(
      "--case", arguments.cases,
      "such as write-4k-d1, read-1m-d16; may be given several times; none: the eight usual ones");
  core->add_option("--seconds", arguments.bench.seconds, "measured time of each case")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  core->add_option("--warm-up", arguments.bench.warm_up_seconds, "seconds before that")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  core->add_option("--interval-ms", arguments.bench.interval_ms,
                   "also print one line each interval; 0: do not")
      ->capture_default_str();
  core->add_option("--volume", arguments.volume, "name of the volume, whose contents are overwritten")
      ->capture_default_str();
  core->add_option("--span-mib", arguments.span_mib, "use the first MiB of the volume only")
      ->check(CLI::Range(4, 1 << 30))
      ->capture_default_str();
  core->add_option("--endpoints", arguments.endpoints, "HOST:PORT of core servers' control")
      ->delimiter(',')
      ->envname("SHIMA_ENDPOINTS");
  core->add_option("--process", arguments.processes, "NAME=PID of a process whose CPU time is told")
      ->delimiter(',');
  core->add_option("--deadline-ms", arguments.client.deadline_ms, "deadline of each operation")
      ->capture_default_str();
  core->add_flag("--no-fill", arguments.no_fill, "do not write the span before the first read case");
  double transport_seconds = 3;
  auto* transport = app.add_subcommand("transport", "Frames over loopback between two processes");
  transport->add_option("--seconds", transport_seconds, "measured time of each case")->capture_default_str();
  StreamBenchOptions stream;
  auto* listen =
      app.add_subcommand("stream-listen", "The receiving side of stream-send; runs until it is ended");
  auto* send = app.add_subcommand("stream-send", "Frames over a network to a stream-listen");
  for (auto* side : {listen, send}) {
    side->add_option("address", stream.address, "to bind to, or of the other side")->required();
    side->add_option("port", stream.port, "TCP port")->required();
    side->add_option("--socket-buffer-bytes", stream.socket_buffer_bytes, "0: the kernel tunes them")
        ->capture_default_str();
  }
  send->add_option("--seconds", stream.seconds, "measured time")->capture_default_str();
  send->add_option("--payload-bytes", stream.payload_bytes, "of each frame")
      ->check(CLI::Range(0, 16 << 20))
      ->capture_default_str();
  send->add_option("--depth", stream.depth, "frames without an answer")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Status status = core->parsed()        ? run_core(arguments)
                  : transport->parsed() ? run_transport_bench(transport_seconds)
                  : listen->parsed()    ? serve_stream(stream)
                                        : send_stream(stream);
  if (status.is_ok()) return 0;
  std::fprintf(stderr, "shima-bench: %s\n", status.to_string().c_str());
  return status.code() == Code::kInvalidArgument ? 2 : 1;
}

}  // namespace
}  // namespace shima

int main(int argc, char** argv) { return shima::run(argc, argv); }
