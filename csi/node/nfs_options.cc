#include "csi/node/nfs_options.h"

#include <charconv>

namespace shima {

Result<std::pair<std::string, uint16_t>> split_server(const std::string& server) {
  const size_t colon = server.rfind(':');
  const Status wrong(Code::kInvalidArgument,
                     "nfs-server: found \"" + server + "\", wanted HOST:PORT or [IPV6]:PORT");
  if (colon == std::string::npos || colon == 0) return wrong;
  uint16_t port = 0;
  const char* const end = server.data() + server.size();
  const auto [stop, error] = std::from_chars(server.data() + colon + 1, end, port);
  if (error != std::errc() || stop != end || port == 0) return wrong;
  std::string host = server.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.find_first_of("[],/ ") != std::string::npos) return wrong;
  return std::pair(host, port);
}

Result<NfsMount> nfs_mount(const std::string& server, const std::string& address, const std::string& volume,
                           const std::vector<std::string>& more) {
  auto parts = split_server(server);
  if (!parts) return parts.status();
  const std::string port = std::to_string(parts->second);
  const bool v6 = address.find(':') != std::string::npos;
  NfsMount mount;
  mount.source = (v6 ? "[" + address + "]" : address) + ":/" + volume;
  const std::string protocol = v6 ? "tcp6" : "tcp";
  mount.options = "nfsvers=3,proto=" + protocol + ",port=" + port + ",mountproto=" + protocol +
                  ",mountport=" + port + ",mountvers=3,nolock,hard,noac,lookupcache=none";
  for (const std::string& option : more) mount.options += "," + option;
  mount.options += ",mountaddr=" + address + ",addr=" + address;
  return mount;
}

}  // namespace shima
