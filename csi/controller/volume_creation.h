// CreateVolume (CSI 1.12): a volume by name, once, with what the StorageClass and the orchestrator ask for.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "csi/controller/class_parameters.h"
#include "csi/controller/control_plane.h"
#include "csi/controller/topology.h"
#include "csi/v1/csi.pb.h"

namespace shima {

// What is asked for, checked.
struct WantedVolume {
  std::string name;  // in Shima
  uint64_t size_bytes = 0;
  ::csi::v1::CapacityRange range;
  ClassParameters parameters;
  WantedSites sites;
};

// PURE. INVALID_ARGUMENT, OUT_OF_RANGE.
grpc::Status read_creation(const ::csi::v1::CreateVolumeRequest& request, const std::string& topology_key,
                           WantedVolume& wanted);

// PURE. Why the volume that is there is not the wanted one; empty: it is.
std::string why_another(const cluster::v1::VolumeRecord& found, const WantedVolume& wanted);

// The volume that is there, or a new one. ALREADY_EXISTS: another one has the name; ABORTED: the one that has
// it is going; RESOURCE_EXHAUSTED: the cluster has no place for it.
grpc::Status make_volume(ControlPlane& plane, const WantedVolume& wanted, cluster::v1::VolumeRecord& record);

}  // namespace shima
