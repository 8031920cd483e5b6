// PURE: the addresses of the sites' Services for NFS, on record: the ConfigMap shima-access-addresses.
//
// A kernel's NFS mount goes to the address that it was made with, for ever. A Service that somebody deletes
// would come back with another one; so each asks for the one that it had. The record is written after
// Kubernetes gave the address, has no owner and bears kKeepLabel; it goes with its ShimaCluster.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "operator/spec/shima_cluster_spec.h"

namespace shima {

inline constexpr char kAccessAddressesName[] = "shima-access-addresses";

using AccessAddresses = std::map<std::string, std::string>;  // IPv4 or IPv6, by the Service's name

nlohmann::json access_addresses_object(const ClusterIdentity& cluster, const AccessAddresses& addresses);
// What is no address is passed over.
AccessAddresses read_access_addresses(const nlohmann::json& object);
// spec.clusterIP of a Service; empty: it has none (yet).
std::string address_of_service(const nlohmann::json& service);

}  // namespace shima
