#include "operator/desired/access_addresses.h"

#include <arpa/inet.h>

#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// `text` if it is an IP address, else "".
std::string address_in(const Json& text) {
  if (!text.is_string()) return {};
  std::string address = text.get<std::string>();
  in6_addr parsed;
  const bool is_address =
      inet_pton(AF_INET, address.c_str(), &parsed) == 1 || inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
  return is_address ? address : "";
}

}  // namespace

Json access_addresses_object(const ClusterIdentity& cluster, const AccessAddresses& addresses) {
  Json object = lasting_object(cluster, {"v1", "ConfigMap"}, kAccessAddressesName, {kAccessComponent, ""});
  object["metadata"]["labels"][kKeepLabel] = kKeepValue;
  object["data"] = addresses;
  return object;
}

AccessAddresses read_access_addresses(const Json& object) {
  AccessAddresses addresses;
  const Json data = object.value("data", Json::object());
  if (!data.is_object()) return addresses;
  for (const auto& [service, text] : data.items())
    if (std::string address = address_in(text); !address.empty()) addresses[service] = std::move(address);
  return addresses;
}

std::string address_of_service(const Json& service) {
  const Json::json_pointer where("/spec/clusterIP");
  return service.contains(where) ? address_in(service.at(where)) : "";
}

}  // namespace shima
