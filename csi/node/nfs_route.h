// How this node reaches an NFS server: names and routes, as the plug-in's own network has them, which is the
// one that its NFS mounts use.
//
// No packet is sent but those of name resolution, which may take as long as the resolver lets it. Threads:
// any. Errors: kInvalidArgument (no HOST:PORT), kUnavailable (no such name now, no route).
#pragma once

#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

// An address of a name, or the literal itself.
Result<std::string> address_of(const std::string& host);

// The addresses that the node's NFS client comes from, for access servers to know it by: those that were told
// (behind NAT nobody here can know them), otherwise the one that the route to `nfs_server` (HOST:PORT) gives
// its packets. None without both.
Result<std::vector<std::string>> nfs_client_addresses(const std::vector<std::string>& told,
                                                      const std::string& nfs_server);

}  // namespace shima
