#include "common/network/interface_address.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace shima {
namespace {

class Socket {
 public:
  Socket(int family, int type, int protocol) : fd_(::socket(family, type | SOCK_CLOEXEC, protocol)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status from_errno(int error, const InterfaceAddress& a, const char* what) {
  Code code = error == EPERM || error == EACCES    ? Code::kPermissionDenied
              : error == ENODEV || error == EINVAL ? Code::kInvalidArgument
                                                   : Code::kIo;
  std::string hint = code == Code::kPermissionDenied ? "; it takes CAP_NET_ADMIN and CAP_NET_RAW" : "";
  return {code, std::string(what) + " " + to_string(a) + ": " + std::strerror(error) + hint};
}

struct ParsedAddress {
  int family = AF_INET;
  std::array<uint8_t, 16> bytes{};
  size_t size = 4;
};

Result<ParsedAddress> parse(const std::string& text) {
  ParsedAddress p;
  if (inet_pton(AF_INET, text.c_str(), p.bytes.data()) == 1) return p;
  p.family = AF_INET6;
  p.size = 16;
  if (inet_pton(AF_INET6, text.c_str(), p.bytes.data()) == 1) return p;
  return Status(Code::kInvalidArgument, "found '" + text + "', wanted an IPv4 or IPv6 address");
}

struct AddressRequest {
  nlmsghdr header{};
  ifaddrmsg message{};
  std::array<uint8_t, 128> attributes{};

  void add(uint16_t type, const void* data, size_t size) {
    auto* at = reinterpret_cast<uint8_t*>(this) + NLMSG_ALIGN(header.nlmsg_len);
    rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(size)), type};
    std::memcpy(at, &attribute, sizeof attribute);
    std::memcpy(at + RTA_LENGTH(0), data, size);
    header.nlmsg_len = NLMSG_ALIGN(header.nlmsg_len) + RTA_ALIGN(attribute.rta_len);
  }
};

// Sends the request and waits for the kernel's answer: an errno, 0 for done.
Result<int> ask_kernel(AddressRequest& request, const InterfaceAddress& a) {
  Socket socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (socket.fd() < 0) return from_errno(errno, a, "opening rtnetlink for");
  request.header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  request.header.nlmsg_seq = 1;
  if (::send(socket.fd(), &request, request.header.nlmsg_len, 0) < 0)
    return from_errno(errno, a, "asking the kernel about");
  alignas(nlmsghdr) std::array<uint8_t, 4096> answer;
  ssize_t size = ::recv(socket.fd(), answer.data(), answer.size(), 0);
  if (size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))))
    return Status(Code::kIo, "rtnetlink's answer is cut short");
  auto* header = reinterpret_cast<nlmsghdr*>(answer.data());
  if (header->nlmsg_type != NLMSG_ERROR) return Status(Code::kIo, "rtnetlink's answer is of another kind");
  return -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(header))->error;
}

Result<AddressRequest> request_for(const InterfaceAddress& a, uint16_t type) {
  auto parsed = parse(a.address);
  if (!parsed) return parsed.status();
  unsigned index = if_nametoindex(a.interface.c_str());
  if (index == 0) return from_errno(ENODEV, a, "finding the interface of");
  AddressRequest request;
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifaddrmsg));
  request.header.nlmsg_type = type;
  request.message.ifa_family = static_cast<uint8_t>(parsed->family);
  request.message.ifa_prefixlen = a.prefix_length;
  request.message.ifa_index = index;
  // No duplicate address detection: the lease in etcd says whose it is, and there is no time to wait.
  if (parsed->family == AF_INET6) request.message.ifa_flags = IFA_F_NODAD;
  request.add(IFA_LOCAL, parsed->bytes.data(), parsed->size);
  request.add(IFA_ADDRESS, parsed->bytes.data(), parsed->size);
  return request;
}

struct ArpPacket {
  arphdr header;
  uint8_t sender_mac[ETH_ALEN];
  uint8_t sender_ip[4];
  uint8_t target_mac[ETH_ALEN];
  uint8_t target_ip[4];
} __attribute__((packed));

Status announce_v4(const InterfaceAddress& a, const ParsedAddress& parsed, int index, const uint8_t* mac) {
  Socket socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
  if (socket.fd() < 0) return from_errno(errno, a, "announcing");
  ArpPacket packet{};
  packet.header.ar_hrd = htons(ARPHRD_ETHER);
  packet.header.ar_pro = htons(ETHERTYPE_IP);
  packet.header.ar_hln = ETH_ALEN;
  packet.header.ar_pln = 4;
  packet.header.ar_op = htons(ARPOP_REQUEST);
  std::memcpy(packet.sender_mac, mac, ETH_ALEN);
  std::memcpy(packet.sender_ip, parsed.bytes.data(), 4);
  std::memcpy(packet.target_ip, parsed.bytes.data(), 4);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ARP);
  to.sll_ifindex = index;
  to.sll_halen = ETH_ALEN;
  std::memset(to.sll_addr, 0xff, ETH_ALEN);
  if (::sendto(socket.fd(), &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    return from_errno(errno, a, "announcing");
  return Status::ok();
}

Status announce_v6(const InterfaceAddress& a, const ParsedAddress& parsed, int index, const uint8_t* mac) {
  Socket socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);  // the kernel makes the checksum
  if (socket.fd() < 0) return from_errno(errno, a, "announcing");
  int hops = 255;
  ::setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  struct {
    nd_neighbor_advert advert;
    nd_opt_hdr option;
    uint8_t mac[ETH_ALEN];
  } __attribute__((packed)) packet{};
  packet.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  packet.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  std::memcpy(&packet.advert.nd_na_target, parsed.bytes.data(), 16);
  packet.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
  packet.option.nd_opt_len = 1;
  std::memcpy(packet.mac, mac, ETH_ALEN);
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_scope_id = static_cast<uint32_t>(index);
  inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
  if (::sendto(socket.fd(), &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    return from_errno(errno, a, "announcing");
  return Status::ok();
}

}  // namespace

std::string to_string(const InterfaceAddress& a) {
  return a.address + "/" + std::to_string(a.prefix_length) + "@" + a.interface;
}

Result<InterfaceAddress> parse_interface_address(const std::string& text) {
  Status wrong(Code::kInvalidArgument,
               "found '" + text + "', wanted ADDRESS/PREFIX@INTERFACE, such as 10.1.0.5/24@eth0");
  size_t slash = text.find('/'), at = text.find('@');
  if (slash == std::string::npos || at == std::string::npos || at < slash) return wrong;
  InterfaceAddress a{text.substr(0, slash), 0, text.substr(at + 1)};
  auto parsed = parse(a.address);
  if (!parsed) return parsed.status();
  const char* end = text.data() + at;
  auto [stopped, error] = std::from_chars(text.data() + slash + 1, end, a.prefix_length);
  if (error != std::errc() || stopped != end || a.prefix_length > 8 * parsed->size) return wrong;
  if (a.interface.empty() || a.interface.size() >= IFNAMSIZ) return wrong;
  return a;
}

Status set_address(const InterfaceAddress& a, uint32_t lifetime_s) {
  auto request = request_for(a, RTM_NEWADDR);
  if (!request) return request.status();
  request->header.nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  ifa_cacheinfo lifetime{lifetime_s, lifetime_s, 0, 0};
  request->add(IFA_CACHEINFO, &lifetime, sizeof lifetime);
  auto error = ask_kernel(*request, a);
  if (!error) return error.status();
  return *error == 0 ? Status::ok() : from_errno(*error, a, "setting");
}

Status remove_address(const InterfaceAddress& a) {
  auto request = request_for(a, RTM_DELADDR);
  if (!request) return request.status();
  auto error = ask_kernel(*request, a);
  if (!error) return error.status();
  return *error == 0 || *error == EADDRNOTAVAIL ? Status::ok() : from_errno(*error, a, "removing");
}

Status announce_address(const InterfaceAddress& a) {
  auto parsed = parse(a.address);
  if (!parsed) return parsed.status();
  Socket any(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, a.interface.c_str(), IFNAMSIZ - 1);
  if (::ioctl(any.fd(), SIOCGIFHWADDR, &request) < 0) return from_errno(errno, a, "finding the interface of");
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return Status::ok();
  const auto* mac = reinterpret_cast<const uint8_t*>(request.ifr_hwaddr.sa_data);
  int index = static_cast<int>(if_nametoindex(a.interface.c_str()));
  return parsed->family == AF_INET ? announce_v4(a, *parsed, index, mac)
                                   : announce_v6(a, *parsed, index, mac);
}

}  // namespace shima
