#include "operator/desired/access_addresses.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

ClusterEvent changed_address(const std::string& service, const std::string& was, const std::string& is) {
  return {.warning = true,
          .reason = "AccessAddressChanged",
          .action = "Apply",
          .note = "Service " + service + " has the address " + is + " and could not have " + was +
                  " again: NFS mounts that were made with that one wait for it for ever. Restart the pods "
                  "(migrate or restart the VMs) of its site that use volumes over NFS, so that these are "
                  "mounted anew"};
}

// False: it cannot be read now.
bool read_record(ClusterPass& pass, AccessAddresses& addresses) {
  const auto record = find_record(pass, kAccessAddressesName);
  pass.state.has_no_address_record = record.status().code() == Code::kNotFound;
  if (pass.state.has_no_address_record) return true;
  if (!record) {
    pass.failed({{"kind", "ConfigMap"},
                 {"metadata", {{"namespace", pass.identity.name_space}, {"name", kAccessAddressesName}}}},
                "read", record.status());
    pass.look_again_after(1'000);
    return false;
  }
  addresses = read_access_addresses(*record);
  return true;
}

}  // namespace

bool settle_access_addresses(ClusterPass& pass, ObservedCluster& observed) {
  AccessAddresses& addresses = observed.access_addresses;
  const bool seen =
      pass.view.get(config_map_kind(), object_key(pass.identity.name_space, kAccessAddressesName)) != nullptr;
  if ((seen || !pass.state.has_no_address_record) && !read_record(pass, addresses)) return false;
  for (const auto& [key, service] : pass.view.all(service_kind())) {
    const std::string address = address_of_service(*service), name = name_of(*service);
    if (address.empty() || !belongs_to(*service, pass.identity) ||
        label_of(*service, kComponentLabel) != kAccessComponent)
      continue;
    const auto was = addresses.find(name);
    if (was != addresses.end() && was->second != address)
      pass.events.push_back(changed_address(name, was->second, address));
    addresses[name] = address;
  }
  return true;
}

Result<json> apply_with_address(ClusterPass& pass, const ResourceKind& kind, const json& wanted) {
  auto answer = pass.calls.apply(kind, wanted);
  const bool refused = answer.status().code() == Code::kInvalidArgument &&
                       answer.status().message().find("clusterIP") != std::string::npos;
  if (!refused || kind_key(kind) != kind_key(service_kind()) || address_of_service(wanted).empty())
    return answer;
  log(LogLevel::kWarning, "operator",
      told_object(wanted) + " cannot have its address again: " + answer.status().message());
  json without = wanted;
  without["spec"].erase("clusterIP");
  return pass.calls.apply(kind, without);
}

}  // namespace shima
