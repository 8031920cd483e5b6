// Addresses of this machine's network interfaces, set and taken away by rtnetlink(7), with a lifetime that
// the kernel enforces: an address that its process no longer renews is gone by itself, even if the process
// was killed or hangs.
//
// Threads: any. Errors: kInvalidArgument (no address, no such interface), kPermissionDenied (CAP_NET_ADMIN is
// missing), kIo.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

struct InterfaceAddress {
  std::string address;        // IPv4 or IPv6 literal
  uint8_t prefix_length = 0;  // bits
  std::string interface;      // name, such as "eth0"
};

// "10.1.0.5/24@eth0"
Result<InterfaceAddress> parse_interface_address(const std::string& text);
std::string to_string(const InterfaceAddress& a);

// Adds the address, or renews it if it is there; the kernel removes it after `lifetime_s` seconds.
Status set_address(const InterfaceAddress& a, uint32_t lifetime_s);
// Ok if it was not there.
Status remove_address(const InterfaceAddress& a);

// Tells the neighbours on the link that the address is here now: gratuitous ARP (RFC 5227), unsolicited
// neighbour advertisement (RFC 4861). On a link without either (loopback, TUN) it does nothing.
Status announce_address(const InterfaceAddress& a);

}  // namespace shima
