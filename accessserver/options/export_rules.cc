#include "accessserver/options/export_rules.h"

#include <algorithm>
#include <optional>

namespace shima {
namespace {

// An IPv4 client of a socket that serves both families shows as ::ffff:a.b.c.d.
IpAddress without_mapping(const IpAddress& ip) {
  constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!ip.v6 || !std::equal(kMapped.begin(), kMapped.end(), ip.bytes.begin())) return ip;
  IpAddress v4;
  std::copy(ip.bytes.begin() + 12, ip.bytes.end(), v4.bytes.begin());
  return v4;
}

std::optional<Squash> squash_of(const std::string& text) {
  if (text == "no_root_squash") return Squash::kNone;
  if (text == "root_squash") return Squash::kRoot;
  if (text == "all_squash") return Squash::kAll;
  return std::nullopt;
}

}  // namespace

Result<ExportRule> parse_export_rule(const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument,
                  "found \"" + text +
                      "\", wanted CIDR:rw|ro:no_root_squash|root_squash|all_squash, as in "
                      "10.1.0.0/16:rw:root_squash" +
                      why);
  };
  // An IPv6 subnet has colons of its own: its end is the first one behind the slash.
  const size_t slash = text.find('/');
  const size_t first = slash == std::string::npos ? slash : text.find(':', slash);
  const size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  if (second == std::string::npos) return refuse("");
  ExportRule rule;
  Result<Cidr> subnet = parse_cidr(text.substr(0, first));
  if (!subnet) return refuse(" (its subnet: " + subnet.status().message() + ")");
  rule.subnet = *subnet;
  const std::string mode = text.substr(first + 1, second - first - 1);
  std::optional<Squash> squash = squash_of(text.substr(second + 1));
  if ((mode != "rw" && mode != "ro") || !squash) return refuse("");
  rule.access.allowed = true;
  rule.access.read_only = mode == "ro";
  rule.access.squash = *squash;
  return rule;
}

Access access_of(const std::vector<ExportRule>& rules, const std::string& client) {
  std::optional<IpAddress> ip = parse_ip(client);
  if (!ip) return {};
  const IpAddress address = without_mapping(*ip);
  for (const ExportRule& rule : rules) {
    if (rule.subnet.contains(address)) return rule.access;
  }
  return {};
}

}  // namespace shima
