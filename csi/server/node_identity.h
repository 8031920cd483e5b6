// PURE: a node's id in CSI: what the controller must know of a node, as the node plug-in tells it.
//
// The text is NODE|SITE|ADDRESS,ADDRESS: the orchestrator's name of the node, its site, and the IPv4 and IPv6
// literals its NFS client may come from (there may be none). At most 256 bytes (CSI 1.12, size limits:
// node_id). The text travels through the orchestrator, so it is checked again where it is read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"

namespace shima {

inline constexpr size_t kMaxNodeIdBytes = 256;
inline constexpr size_t kMaxNodeAddresses = 8;

struct NodeIdentity {
  std::string node;  // 1 to 253 characters [A-Za-z0-9._-], the first and the last alphanumeric
  std::string site;  // 1 to 63 characters [a-z0-9-]
  std::vector<std::string> addresses;

  bool operator==(const NodeIdentity&) const = default;
};

// Addresses come out in their usual form (inet_ntop's). kInvalidArgument: a part is not as above, or the
// whole is too long. Addresses beyond what fits are an error, not left out.
Result<std::string> build_node_id(const NodeIdentity& identity);
Result<NodeIdentity> parse_node_id(std::string_view text);

}  // namespace shima
