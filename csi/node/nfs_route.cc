#include "csi/node/nfs_route.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "csi/host/absolute_path.h"
#include "csi/node/nfs_options.h"

namespace shima {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<AddressList> look_up(const std::string& host, const std::string& port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error == 0) return AddressList(found, freeaddrinfo);
  return Status(Code::kUnavailable, "cannot find an address of " + host + ": " + gai_strerror(error));
}

Result<std::string> literal(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> text{};
  const int error = getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  if (error == 0) return std::string(text.data());
  return Status(Code::kInternal, std::string("cannot write down an address: ") + gai_strerror(error));
}

// connect(2) of a UDP socket looks for a route and sends nothing.
Result<std::string> source_address_towards(const addrinfo& server) {
  const OwnedFd probe(socket(server.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  if (!probe || connect(probe.get(), server.ai_addr, server.ai_addrlen) != 0 ||
      getsockname(probe.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return Status(Code::kUnavailable, std::string("there is no route: ") + strerror(errno));
  }
  return literal(reinterpret_cast<const sockaddr*>(&own), size);
}

}  // namespace

Result<std::string> address_of(const std::string& host) {
  auto found = look_up(host, "");
  if (!found) return found.status();
  return literal((*found)->ai_addr, (*found)->ai_addrlen);
}

Result<std::vector<std::string>> nfs_client_addresses(const std::vector<std::string>& told,
                                                      const std::string& nfs_server) {
  if (!told.empty() || nfs_server.empty()) return told;
  auto parts = split_server(nfs_server);
  if (!parts) return parts.status();
  auto found = look_up(parts->first, std::to_string(parts->second));
  if (!found) return found.status();
  auto source = source_address_towards(**found);
  if (!source) {
    return source.status().with_context("the address of this node towards " + nfs_server +
                                        " is not known; name it with --node-addresses");
  }
  return std::vector<std::string>{*source};
}

}  // namespace shima
