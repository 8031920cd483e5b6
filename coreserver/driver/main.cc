// shima-coreserver: one core server. See --help and docs/reference/configuration.md.
#include "common/program/server_program.h"
#include "common/runtime/allocator.h"
#include "coreserver/driver/core_server.h"
#include "coreserver/options/server_options.h"

namespace {

shima::Status serve(const shima::ServerOptions& options) {
  auto server = shima::CoreServer::start(options);
  if (!server.is_ok()) return server.status();
  shima::wait_for_ending_signal();
  (*server)->stop();
  return shima::Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  shima::keep_large_buffers();
  const shima::ServerProgram<shima::ServerOptions> program{
      "shima-coreserver", "One core server of Shima: journal, blocks, replica groups.",
      shima::server_option_specs(), shima::server_options_from, serve};
  return shima::run_server_program(program, argc, argv);
}
