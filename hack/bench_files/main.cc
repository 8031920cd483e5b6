// shima-bench-files: loads an NFSv3 server, or a mounted folder, with the cases of file_cases.h. hack/bench
// files runs it.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "hack/bench_files/file_cases.h"
#include "hack/bench_files/local_load.h"
#include "hack/bench_files/nfs_load.h"

namespace shima {
namespace {

struct Arguments {
  std::vector<std::string> cases, processes;
  std::string directory;
  uint64_t span_mib = 64;
  NfsAddress address;
  FileBenchOptions options;
};

void add_common(CLI::App& command, Arguments& arguments) {
  command
      .add_option("--case", arguments.cases, "such as write-4k-d16, create-d1; may be given several times")
      ->required();
  command.add_option("--target", arguments.options.target, "what is measured, for the output")->required();
  command.add_option("--seconds", arguments.options.seconds, "measured time of each case")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command.add_option("--warm-up", arguments.options.warm_up_seconds, "seconds before that")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  command.add_option("--span-mib", arguments.span_mib, "size of the file that is read and written")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--process", arguments.processes, "NAME=PID of a process whose CPU time is told")
      ->delimiter(',');
}

Status run_cases(Arguments& arguments) {
  std::vector<FileCase> cases;
  for (const std::string& name : arguments.cases) {
    Result<FileCase> parsed = parse_file_case(name);
    if (!parsed) return parsed.status();
    cases.push_back(*parsed);
  }
  for (const std::string& text : arguments.processes) {
    Result<WatchedProcess> process = parse_watched_process(text);
    if (!process) return process.status();
    arguments.options.processes.push_back(*process);
  }
  arguments.options.span_bytes = arguments.span_mib << 20;
  if (!arguments.directory.empty()) return run_local_cases(arguments.directory, cases, arguments.options);
  return run_nfs_cases(arguments.address, cases, arguments.options);
}

int run(int argc, char** argv) {
  CLI::App app{"Loads an NFSv3 server (nfs) or a mounted folder (local); prints one JSON line a case."};
  app.require_subcommand(1);
  Arguments arguments;
  auto* nfs =
      app.add_subcommand("nfs", "An NFSv3 server, by raw calls over one connection; writes are FILE_SYNC");
  nfs->add_option("--host", arguments.address.host, "address of the server")->required();
  nfs->add_option("--port", arguments.address.port, "of NFS")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  nfs->add_option("--mount-port", arguments.address.mount_port, "of MOUNT")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  nfs->add_option("--export", arguments.address.export_path, "path to mount")->required();
  auto* local = app.add_subcommand("local", "A folder, by system calls of many threads; writes are O_SYNC");
  local->add_option("--directory", arguments.directory, "where to make files")
      ->required()
      ->check(CLI::ExistingDirectory);
  add_common(*nfs, arguments);
  add_common(*local, arguments);
  CLI11_PARSE(app, argc, argv);
  const Status status = run_cases(arguments);
  if (status.is_ok()) return 0;
  std::fprintf(stderr, "shima-bench-files: %s\n", status.to_string().c_str());
  return status.code() == Code::kInvalidArgument ? 2 : 1;
}

}  // namespace
}  // namespace shima

int main(int argc, char** argv) { return shima::run(argc, argv); }
