// NfsServer: NFSv3 and MOUNT on one TCP port, over the volumes of Exports. No portmapper: clients name the
// port (mount -o port=P,mountport=P,nolock,tcp).
//
// Threads: made and destroyed on a thread that is none of its loops and none of the volumes'; the rest from
// any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/server/exports.h"
#include "common/runtime/event_loop.h"
#include "common/status/status.h"

namespace shima {

struct NfsServerOptions {
  std::string address = "::";    // IPv4 or IPv6 literal; "::" takes both
  uint16_t port = 2049;          // 0: the kernel chooses
  uint16_t portmapper_port = 0;  // 0: no portmapper; clients that ask one do so at 111
  uint32_t max_connections = 4096;
  uint64_t max_connection_bytes = 64u
                                  << 20;  // bound by one connection's calls; past that it is not read from
  uint64_t max_total_bytes = 1u << 30;    // by those of all connections
  uint32_t remembered_replies = 4096;     // for clients that repeat calls over new connections
};

// For metrics; all count from the start of the server, but the two gauges.
struct NfsStatistics {
  struct Procedure {
    uint64_t requests = 0, errors = 0;
  };
  std::map<std::string, Procedure> procedures;  // "GETATTR", ..., "MOUNT_MNT", ...
  uint64_t calls = 0;
  uint64_t refused_calls = 0;   // RPC errors: version, authentication, unknown program or procedure
  uint64_t repeated_calls = 0;  // answered from the cache of replies
  uint64_t malformed = 0;       // connections closed for what is no RPC
  uint64_t connections_accepted = 0, connections_refused = 0;
  uint64_t connections_open = 0;  // gauge
  uint64_t bytes_in = 0, bytes_out = 0;
  uint64_t reading_paused = 0;  // times
  uint64_t bound_bytes = 0;     // gauge: see max_total_bytes
};

class NfsServer {
 public:
  // `exports` and the loops must outlive it. Errors: kInvalidArgument: the address is none; kUnavailable: it
  // cannot be listened on.
  static Result<std::unique_ptr<NfsServer>> open(const std::vector<EventLoop*>& loops,
                                                 const NfsServerOptions& options, Exports& exports);
  // Closes all connections, and waits until the volumes have answered what is in work.
  virtual ~NfsServer() = default;
  virtual uint16_t port() const = 0;
  virtual NfsStatistics statistics() const = 0;
};

}  // namespace shima
