// PURE: which sites a new volume has copies at, and which one is its home, from what the orchestrator asks
// for (CSI 1.12, TopologyRequirement), the StorageClass, and the sites that there are.
//
// A topology of ours has one segment, {topology key: site}. A volume is accessible from each site with a copy
// of it (a volume's accessible topology cannot be changed later, and a VM is to move to any of them).
// - At least one requisite site gets a copy; all of them as far as the number of copies allows, preferred
// ones
//   first; then other sites, in the order given.
// - The home is the StorageClass's; else the first preferred site that has a copy, else the first requisite
// one.
#pragma once

#include <google/protobuf/repeated_field.h>
#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "csi/controller/class_parameters.h"
#include "csi/v1/csi.pb.h"

namespace shima {

inline constexpr uint32_t kDefaultCopiesOfVolume = 3;

struct WantedSites {
  std::vector<std::string> requisite;  // each once, in the order given
  std::vector<std::string> preferred;
};

// INVALID_ARGUMENT: a topology without our segment, with others, or a preferred site that is not requisite.
grpc::Status read_requirement(const ::csi::v1::TopologyRequirement& requirement,
                              const std::string& topology_key, WantedSites& wanted);
// The site of one topology; INVALID_ARGUMENT as above. `field` names it in errors.
grpc::Status read_topology(const ::csi::v1::Topology& topology, const std::string& topology_key,
                           const std::string& field, std::string& site);

struct VolumeSites {
  std::string home;
  std::vector<std::string> sites;  // the home first
};

// `with_servers`: sites with core servers, by name. INVALID_ARGUMENT: the StorageClass names a site without
// any; RESOURCE_EXHAUSTED: too few sites, or none of those that the volume must be accessible from.
grpc::Status choose_volume_sites(const WantedSites& wanted, const ClassParameters& parameters,
                                 const std::vector<std::string>& with_servers, VolumeSites& chosen);

// Whether a volume with copies at `sites` can be used as wanted.
bool is_accessible(const WantedSites& wanted, const std::vector<std::string>& sites);

// One topology for each of `sites`.
void add_topologies(const std::vector<std::string>& sites, const std::string& topology_key,
                    google::protobuf::RepeatedPtrField<::csi::v1::Topology>& out);

}  // namespace shima
