// PURE: what mount(2) is told for an NFS mount of a volume at an access server: nfs(5).
//
// Version 3 without locks (what our access servers serve by NFS has none across nodes), TCP, hard, both ports
// named, so that no portmapper is asked, and nothing believed that was not asked, since other nodes write
// too.
#pragma once

#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct NfsMount {
  std::string source;   // "10.1.0.200:/vm1", "[fd00::1]:/vm1"
  std::string options;  // "nfsvers=3,...,addr=10.1.0.200"
};

// `server`: HOST:PORT or [IPV6]:PORT; `address`: HOST's, as a literal.
Result<NfsMount> nfs_mount(const std::string& server, const std::string& address, const std::string& volume,
                           const std::vector<std::string>& more);

// The HOST and PORT of "HOST:PORT", "[IPV6]:PORT". kInvalidArgument.
Result<std::pair<std::string, uint16_t>> split_server(const std::string& server);

}  // namespace shima
