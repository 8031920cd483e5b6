// shima-csi: the CSI driver: controller, node plug-in, or mounter. See --help and
// docs/reference/configuration.md.
#include "common/program/server_program.h"
#include "csi/mounter/mounter_serving.h"
#include "csi/options/csi_options.h"
#include "csi/server/serving.h"
#include "csi/server/site_of_node.h"

int main(int argc, char** argv) {
  const auto serve = [](const shima::CsiOptions& given) {
    const shima::Result<shima::CsiOptions> options = shima::with_site(given);
    if (!options) return options.status();
    return options->mounter ? shima::serve_mounter(*options) : shima::serve_csi(*options);
  };
  return shima::run_server_program<shima::CsiOptions>(
      {.name = "shima-csi",
       .summary = "The CSI driver of Shima: --controller, --node, both, or --mounter.",
       .specs = shima::csi_option_specs(),
       .options_from = shima::csi_options_from,
       .serve = serve},
      argc, argv);
}
