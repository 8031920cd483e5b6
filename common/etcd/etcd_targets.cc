// Endpoints as people write them -> targets for gRPC.
#include <algorithm>

#include "common/etcd/etcd_channels.h"

namespace shima {
namespace {

// "http://host:port" -> "host:port"; empty if it is none.
Result<std::string> target_of(const std::string& endpoint) {
  auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument,
                  "etcd endpoint \"" + endpoint + "\": " + why +
                      "; wanted HOST:PORT or [IPV6]:PORT, with or without http:// in front");
  };
  std::string target = endpoint;
  if (target.starts_with("https://")) return refuse("TLS to etcd is not supported");
  if (target.starts_with("http://")) target.erase(0, 7);
  if (!target.empty() && target.back() == '/') target.pop_back();
  size_t colon = target.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == target.size())
    return refuse("a port is missing");
  std::string host = target.substr(0, colon), port = target.substr(colon + 1);
  bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find(':') != std::string::npos) return refuse("an IPv6 address needs brackets");
  bool digits =
      port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || std::stoul(port) == 0 || std::stoul(port) > 65535)
    return refuse("the port must be 1 to 65535");
  return target;
}

}  // namespace

Result<std::vector<std::string>> etcd_targets(const std::vector<std::string>& endpoints) {
  if (endpoints.empty())
    return {Code::kInvalidArgument, "no etcd endpoint was given; wanted at least one HOST:PORT"};
  std::vector<std::string> targets;
  for (const std::string& endpoint : endpoints) {
    Result<std::string> target = target_of(endpoint);
    if (!target) return target.status();
    targets.push_back(*target);
  }
  return targets;
}

}  // namespace shima
