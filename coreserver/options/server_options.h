// ServerOptions: all that a core server can be told, checked.
//
// Purpose: the declared options (server_option_specs) and the plain struct that the rest of the server reads.
// docs/reference/configuration.md is made from the declarations.
// Errors: kInvalidArgument with file, line and key (see common/config/options.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/config/options.h"
#include "common/status/status.h"

namespace shima {

// One named network: where the server listens, and what it tells others to connect to.
struct NetworkOptions {
  std::string address;    // to listen on: IPv4, IPv6 or a DNS name
  uint16_t port = 0;      // 0: any free port
  std::string advertise;  // address that others use; equals `address` unless it was given

  bool operator==(const NetworkOptions&) const = default;
};

struct DiskOptions {
  std::string path;  // a directory of its own on the disk's file system
};

// See common/runtime/disk.h; the latter two are for tests only.
enum class DiskLayer { kPosix, kLosing, kLosingIgnoreSync };

struct ServerOptions {
  std::string name;                                // SITE/core-N
  std::string site;                                // the part of `name` before the slash
  std::string failure_domain;                      // default: the host's name
  std::map<std::string, std::string> site_labels;  // used when this server's start makes the site's record
  std::vector<std::string> site_cidrs;             // the same

  std::vector<std::string> etcd_endpoints;
  uint32_t etcd_timeout_ms = 5000;

  NetworkOptions client;   // volume clients
  NetworkOptions storage;  // servers of the same site; same address and port as client: one listener for both
  NetworkOptions wan;      // servers of other sites; the same
  uint16_t control_port = 0;  // gRPC, on the client network's address
  uint16_t metrics_port = 0;  // 0: off

  std::vector<DiskOptions> disks;
  uint32_t shards = 1;  // event loops
  uint32_t lease_ttl_ms = 6000;

  uint64_t journal_segment_bytes = 64ull << 20;
  uint64_t journal_max_bytes = 12ull << 30;

  uint64_t lag_budget_bytes = 10ull << 30;  // a remote further behind leaves the whole set (R7)
  uint64_t unapplied_bytes = 64ull << 20;   // committed, not yet in the block store, a group
  uint64_t inflight_bytes = 64ull << 20;    // requests not yet answered, a connection
  uint64_t min_free_bytes = 256ull << 20;   // below it on a disk, writes are refused with kNoSpace

  DiskLayer disk_layer = DiskLayer::kPosix;  // tests only
  std::string protocol_bug = "none";         // tests only: a seeded fault of the protocol
  std::string log_level = "info";            // error, warning, info, debug
};

const std::vector<OptionSpec>& server_option_specs();
Result<ServerOptions> server_options_from(const Config& config);

}  // namespace shima
