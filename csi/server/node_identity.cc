#include "csi/server/node_identity.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include "common/network/cidr.h"

namespace shima {
namespace {

constexpr size_t kMaxNodeNameBytes = 253;  // a DNS subdomain's (RFC 1123), as Kubernetes names nodes
constexpr size_t kMaxSiteBytes = 63;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_node_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNodeNameBytes && is_alphanumeric(text.front()) &&
         is_alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

bool is_site_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSiteBytes && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// One spelling an address, so that ids can be compared; core servers take no other (Publication.addresses).
std::optional<std::string> usual_form(const std::string& address) {
  const std::optional<IpAddress> ip = parse_ip(address);
  char text[INET6_ADDRSTRLEN];
  if (!ip || !inet_ntop(ip->v6 ? AF_INET6 : AF_INET, ip->bytes.data(), text, sizeof text))
    return std::nullopt;
  return text;
}

Status refuse(const std::string& what) { return {Code::kInvalidArgument, what}; }

Status check(const NodeIdentity& identity) {
  if (!is_node_name(identity.node)) {
    return refuse(
        "the node's name was to have 1 to 253 characters [A-Za-z0-9._-] and an alphanumeric one at both "
        "ends; give the node another name");
  }
  if (!is_site_name(identity.site)) {
    return refuse(
        "the node's site was to have 1 to 63 characters [a-z0-9-]; give the site of `shimactl site list` "
        "that the node is at");
  }
  if (identity.addresses.size() > kMaxNodeAddresses) {
    return refuse("the node has " + std::to_string(identity.addresses.size()) +
                  " addresses, wanted at most " + std::to_string(kMaxNodeAddresses) +
                  "; name those that its NFS client uses");
  }
  for (const std::string& address : identity.addresses) {
    if (!usual_form(address)) return refuse("a node's address was to be an IPv4 or IPv6 literal");
  }
  return Status::ok();
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<std::string> build_node_id(const NodeIdentity& identity) {
  SHIMA_RETURN_IF_ERROR(check(identity));
  std::string text = identity.node + "|" + identity.site + "|";
  for (size_t i = 0; i < identity.addresses.size(); i++) {
    if (i > 0) text += ',';
    text += *usual_form(identity.addresses[i]);
  }
  if (text.size() > kMaxNodeIdBytes) {
    return refuse("the node's name, site and addresses make an id of " + std::to_string(text.size()) +
                  " bytes, wanted at most " + std::to_string(kMaxNodeIdBytes) +
                  "; name fewer addresses, or give the node a shorter name");
  }
  return text;
}

Result<NodeIdentity> parse_node_id(std::string_view text) {
  const Status not_ours = refuse(
      "node_id is no id of this driver's node plug-in, which is NODE|SITE|ADDRESS,ADDRESS; "
      "give what NodeGetInfo answered");
  if (text.size() > kMaxNodeIdBytes) {
    return refuse("node_id has " + std::to_string(text.size()) + " bytes, wanted at most " +
                  std::to_string(kMaxNodeIdBytes));
  }
  std::vector<std::string> parts = split(text, '|');
  if (parts.size() != 3) return not_ours;
  NodeIdentity identity{std::move(parts[0]), std::move(parts[1]), {}};
  if (!parts[2].empty()) identity.addresses = split(parts[2], ',');
  if (Status status = check(identity); !status)
    return refuse(not_ours.message() + " (" + status.message() + ")");
  for (std::string& address : identity.addresses) address = *usual_form(address);
  return identity;
}

}  // namespace shima
