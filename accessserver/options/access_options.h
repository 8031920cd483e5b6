// AccessOptions: all that an access server can be told, checked.
//
// Purpose: the declared options (access_option_specs) and the plain struct that the rest of the server reads.
// docs/reference/configuration.md is made from the declarations. One program has two modes: with `mount` it
// is a FUSE mount of one volume, else it serves NFS for all volumes. Errors: kInvalidArgument with file, line
// and key (see common/config/options.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accessserver/options/export_rules.h"
#include "common/config/options.h"
#include "common/network/interface_address.h"
#include "common/status/status.h"

namespace shima {

struct AccessOptions {
  std::string name;                         // SITE/access-N
  std::string site;                         // the part of `name` before the slash
  std::vector<std::string> core_endpoints;  // control planes of core servers, HOST:PORT, own site's first
  uint32_t core_timeout_ms = 5000;          // of one call to the control plane
  uint32_t deadline_ms = 300'000;           // of one operation on a volume; then ETIMEDOUT
  uint64_t inflight_bytes = 64ull << 20;    // sent to core servers and not answered, a volume

  std::string nfs_address;  // to listen on
  uint16_t nfs_port = 2049;
  uint32_t nfs_threads = 2;
  uint32_t max_connections = 1024;
  uint16_t portmapper_port = 0;                    // 0: none
  std::optional<InterfaceAddress> shared_address;  // of the site's access servers; NFS is served there too
  std::vector<std::string> etcd_endpoints;         // to register at; needed for the shared address
  std::vector<ExportRule> export_rules;

  std::string metrics_address;
  uint16_t metrics_port = 0;  // 0: off

  std::string mount;         // FUSE: where; empty: NFS
  std::string volume;        // FUSE: which
  std::string node;          // FUSE: for whom; empty: nobody
  uint64_t publication = 0;  // FUSE: of the volume on that node (CSI); 0: none
  bool read_only = false;
  bool cache_pages = true;  // the kernel may answer reads from its pages, checked against size and mtime
  uint32_t attribute_timeout_ms = 0;  // how long the kernel may believe names and attributes
  uint32_t fuse_threads = 4;

  std::string log_level = "info";  // error, warning, info, debug
};

const std::vector<OptionSpec>& access_option_specs();
Result<AccessOptions> access_options_from(const Config& config);

}  // namespace shima
