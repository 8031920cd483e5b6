// shima-operator: makes clusters of Shima in Kubernetes, and keeps them. See --help and
// docs/reference/configuration.md.
#include "common/program/server_program.h"
#include "operator/server/operator_options.h"
#include "operator/server/operator_serving.h"

int main(int argc, char** argv) {
  return shima::run_server_program<shima::OperatorOptions>(
      {.name = "shima-operator",
       .summary = "Turns ShimaCluster objects of a Kubernetes cluster into running clusters of Shima.",
       .specs = shima::operator_option_specs(),
       .options_from = shima::operator_options_from,
       .serve = shima::serve_operator},
      argc, argv);
}
