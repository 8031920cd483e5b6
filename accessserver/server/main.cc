// shima-accessserver: NFS for all volumes of a cluster, or one volume mounted with FUSE. See --help and
// docs/reference/configuration.md.
#include "accessserver/options/access_options.h"
#include "accessserver/server/serving.h"
#include "common/program/server_program.h"
#include "common/runtime/allocator.h"

int main(int argc, char** argv) {
  shima::keep_large_buffers();
  const shima::ServerProgram<shima::AccessOptions> program{
      "shima-accessserver", "One access server of Shima: NFS for all volumes, or a FUSE mount of one.",
      shima::access_option_specs(), shima::access_options_from, [](const shima::AccessOptions& options) {
        return options.mount.empty() ? shima::serve_nfs(options) : shima::serve_mount(options);
      }};
  return shima::run_server_program(program, argc, argv);
}
