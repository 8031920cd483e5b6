// CsiOptions: all that the CSI driver can be told, checked.
//
// Purpose: the declared options (csi_option_specs) and the plain struct that the rest of the driver reads.
// docs/reference/configuration.md is made from the declarations. One program has three roles: controller and
// node plug-in, which one process may be together, and mounter, a process of its own that outlives restarts
// of the node plug-in. Errors: kInvalidArgument with file, line and key (see common/config/options.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/options.h"
#include "common/status/status.h"

namespace shima {

struct CsiOptions {
  std::string socket_path;  // gRPC is served on this unix socket: of `endpoint`, without unix://
  bool controller = false;  // roles; `mounter` is alone
  bool node = false;
  bool mounter = false;
  std::string driver_name = "shima.io";
  std::vector<std::string> core_endpoints;  // control planes of core servers, HOST:PORT, own site's first
  uint32_t core_timeout_ms = 10'000;        // of one call to the control plane
  std::string topology_key = "topology.kubernetes.io/zone";

  // Node plug-in.
  std::string node_name;
  std::vector<std::string> node_addresses;  // IP literals that the node's NFS client comes from; may be empty
  std::string publish_root = "/var/lib/kubelet";  // absolute, without a slash at its end
  std::string mounter_socket_path;                // of `mounter-endpoint`, without unix://
  std::string nfs_server;                         // HOST:PORT of the own site's access servers; empty: no NFS

  // Node plug-in and mounter.
  std::string site;
  std::string state_dir;  // absolute, without a slash at its end

  // Mounter.
  std::string accessserver_path;  // absolute

  std::string metrics_address;
  uint16_t metrics_port = 0;       // 0: off
  std::string log_level = "info";  // error, warning, info, debug
};

const std::vector<OptionSpec>& csi_option_specs();
Result<CsiOptions> csi_options_from(const Config& config);

}  // namespace shima
