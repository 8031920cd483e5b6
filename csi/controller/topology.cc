#include "csi/controller/topology.h"

#include <algorithm>

#include "csi/controller/csi_errors.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

using Sites = std::vector<std::string>;
using Topologies = google::protobuf::RepeatedPtrField<::csi::v1::Topology>;

bool has(const Sites& sites, const std::string& site) {
  return std::find(sites.begin(), sites.end(), site) != sites.end();
}

void add_once(Sites& sites, const std::string& site) {
  if (!has(sites, site)) sites.push_back(site);
}

std::string joined(const Sites& sites) {
  std::string text;
  for (const std::string& site : sites) text += (text.empty() ? "" : ", ") + site;
  return text.empty() ? "none" : text;
}

grpc::Status read_all(const Topologies& topologies, const std::string& key, const std::string& field,
                      Sites& sites) {
  for (const auto& topology : topologies) {
    std::string site;
    grpc::Status status = read_topology(topology, key, field, site);
    if (!status.ok()) return status;
    add_once(sites, site);
  }
  return grpc::Status::OK;
}

grpc::Status exhausted(const std::string& text) { return {grpc::StatusCode::RESOURCE_EXHAUSTED, text}; }

// What is wanted, most wanted first.
Sites in_order_of_preference(const WantedSites& wanted) {
  Sites order = wanted.preferred;
  for (const std::string& site : wanted.requisite) add_once(order, site);
  return order;
}

grpc::Status check_parameters(const ClassParameters& parameters, const Sites& with_servers) {
  Sites named = parameters.sites;
  if (!parameters.home.empty()) add_once(named, parameters.home);
  for (const std::string& site : named) {
    if (has(with_servers, site)) continue;
    return invalid_argument("the StorageClass names site " + site +
                            ", which has no core servers; those that have: " + joined(with_servers));
  }
  return grpc::Status::OK;
}

// Sites with a copy in the order of how much they are wanted, none beyond `copies`.
Sites most_wanted(const Sites& wanted, const ClassParameters& parameters, const Sites& with_servers,
                  size_t copies) {
  if (!parameters.sites.empty()) return parameters.sites;
  Sites sites;
  if (!parameters.home.empty()) sites.push_back(parameters.home);
  for (const Sites& from : {wanted, with_servers}) {
    for (const std::string& site : from) {
      if (sites.size() < copies && has(with_servers, site)) add_once(sites, site);
    }
  }
  return sites;
}

std::string home_of(const Sites& wanted, const ClassParameters& parameters, const Sites& sites) {
  if (!parameters.home.empty()) return parameters.home;
  for (const std::string& site : wanted) {
    if (has(sites, site)) return site;
  }
  return sites.front();
}

}  // namespace

grpc::Status read_topology(const ::csi::v1::Topology& topology, const std::string& topology_key,
                           const std::string& field, std::string& site) {
  const auto found = topology.segments().find(topology_key);
  if (found == topology.segments().end() || found->second.empty()) {
    return invalid_argument(
        field + ": a topology without the segment " + topology_key +
        "; nodes have it from the node plug-in's option --site, and --topology-key must be the "
        "same everywhere");
  }
  if (topology.segments_size() > 1) {
    return invalid_argument(field + ": a topology with segments other than " + topology_key +
                            "; leave them out (allowedTopologies of the StorageClass)");
  }
  site = found->second;
  return grpc::Status::OK;
}

grpc::Status read_requirement(const ::csi::v1::TopologyRequirement& requirement,
                              const std::string& topology_key, WantedSites& wanted) {
  grpc::Status status = read_all(requirement.requisite(), topology_key, "requisite", wanted.requisite);
  if (status.ok()) status = read_all(requirement.preferred(), topology_key, "preferred", wanted.preferred);
  if (!status.ok()) return status;
  for (const std::string& site : wanted.preferred) {
    if (wanted.requisite.empty() || has(wanted.requisite, site)) continue;
    return invalid_argument("preferred has site " + quoted(site) +
                            ", which is not among requisite; add it there, or leave it out");
  }
  return grpc::Status::OK;
}

grpc::Status choose_volume_sites(const WantedSites& wanted, const ClassParameters& parameters,
                                 const Sites& with_servers, VolumeSites& chosen) {
  if (with_servers.empty()) return exhausted("no site has core servers; start some first");
  grpc::Status status = check_parameters(parameters, with_servers);
  if (!status.ok()) return status;
  const size_t copies = parameters.copies != 0
                            ? parameters.copies
                            : std::min<size_t>(kDefaultCopiesOfVolume, with_servers.size());
  if (copies > with_servers.size()) {
    return exhausted("the StorageClass wants " + std::to_string(copies) + " copies, but only " +
                     std::to_string(with_servers.size()) +
                     " sites have core servers: " + joined(with_servers));
  }
  const Sites order = in_order_of_preference(wanted);
  Sites sites = most_wanted(order, parameters, with_servers, copies);
  if (!is_accessible(wanted, sites)) {
    return exhausted("the volume is wanted at one of " + quoted(joined(order)) +
                     ", but would have copies at " + joined(sites) +
                     "; choose sites and copies of the StorageClass so that they meet, or start "
                     "core servers there (sites that have some: " +
                     joined(with_servers) + ")");
  }
  chosen.home = home_of(order, parameters, sites);
  std::erase(sites, chosen.home);
  sites.insert(sites.begin(), chosen.home);
  chosen.sites = std::move(sites);
  return grpc::Status::OK;
}

bool is_accessible(const WantedSites& wanted, const Sites& sites) {
  // Preferences alone are wishes.
  if (wanted.requisite.empty()) return true;
  return std::any_of(wanted.requisite.begin(), wanted.requisite.end(),
                     [&](const std::string& site) { return has(sites, site); });
}

void add_topologies(const Sites& sites, const std::string& topology_key, Topologies& out) {
  for (const std::string& site : sites) (*out.Add()->mutable_segments())[topology_key] = site;
}

}  // namespace shima
