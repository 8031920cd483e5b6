// PURE: subnets in CIDR notation, IPv4 and IPv6.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "common/status/status.h"

namespace shima {

struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // IPv4: the first four
};
// Nothing for what is not an address literal, a DNS name for example.
std::optional<IpAddress> parse_ip(const std::string& text);

struct Cidr {
  IpAddress network;
  uint32_t prefix_bits = 0;

  bool contains(const IpAddress& address) const;
  bool overlaps(const Cidr& other) const;
};
// kInvalidArgument: not ADDRESS/BITS, or bits are set behind the prefix.
Result<Cidr> parse_cidr(const std::string& text);

}  // namespace shima
