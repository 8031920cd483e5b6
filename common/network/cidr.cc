#include "common/network/cidr.h"

#include <arpa/inet.h>

#include <algorithm>

namespace shima {
namespace {

bool same_prefix(const IpAddress& a, const IpAddress& b, uint32_t bits) {
  if (a.v6 != b.v6) return false;
  for (uint32_t bit = 0; bit < bits; ++bit) {
    uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    if ((a.bytes[bit / 8] & mask) != (b.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

}  // namespace

std::optional<IpAddress> parse_ip(const std::string& text) {
  IpAddress ip;
  if (inet_pton(AF_INET, text.c_str(), ip.bytes.data()) == 1) return ip;
  ip.v6 = true;
  if (inet_pton(AF_INET6, text.c_str(), ip.bytes.data()) == 1) return ip;
  return std::nullopt;
}

bool Cidr::contains(const IpAddress& address) const { return same_prefix(network, address, prefix_bits); }

bool Cidr::overlaps(const Cidr& other) const {
  return same_prefix(network, other.network, std::min(prefix_bits, other.prefix_bits));
}

Result<Cidr> parse_cidr(const std::string& text) {
  auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument,
                  "found \"" + text + "\", wanted a subnet like 10.1.0.0/16 or fd00:1::/32" + why);
  };
  size_t slash = text.find('/');
  if (slash == std::string::npos) return refuse("");
  std::optional<IpAddress> ip = parse_ip(text.substr(0, slash));
  std::string bits = text.substr(slash + 1);
  bool digits =
      !bits.empty() && bits.size() <= 3 && bits.find_first_not_of("0123456789") == std::string::npos;
  if (!ip || !digits) return refuse("");
  Cidr cidr{*ip, static_cast<uint32_t>(std::stoul(bits))};
  const uint32_t width = ip->v6 ? 128 : 32;
  if (cidr.prefix_bits > width) return refuse(" with at most " + std::to_string(width) + " bits");
  for (uint32_t bit = cidr.prefix_bits; bit < width; ++bit) {
    if (ip->bytes[bit / 8] & (0x80 >> (bit % 8))) return refuse("; bits are set behind the prefix");
  }
  return cidr;
}

}  // namespace shima
