// OperatorOptions: all that the operator can be told, checked.
//
// Purpose: the declared options (operator_option_specs) and the plain struct that the rest reads.
// docs/reference/configuration.md is made from the declarations. What a ShimaCluster says is no option: see
// charts/shima-operator/crds. Errors: kInvalidArgument with file, line and key (common/config/options.h).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/config/options.h"
#include "common/status/status.h"

namespace shima {

struct OperatorOptions {
  std::string kubeconfig;            // path; empty: the credentials of the pod that this process runs in
  std::string context;               // of the kubeconfig; empty: its current one
  std::set<std::string> namespaces;  // empty: all
  bool leader_election = true;
  std::string lease_name;
  std::string lease_namespace;  // empty: that of the credentials
  std::string image;            // that this process runs from; empty: none, or nobody said so
  std::string identity;         // of this process among others: its pod's name
  uint64_t health_interval_ms = 10'000;
  uint64_t settle_ms = 10'000;
  std::string metrics_address;
  uint16_t metrics_port = 0;  // 0: off
  std::string log_level = "info";
};

const std::vector<OptionSpec>& operator_option_specs();
Result<OperatorOptions> operator_options_from(const Config& config);

}  // namespace shima
