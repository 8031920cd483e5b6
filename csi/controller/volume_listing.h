// ListVolumes and ControllerGetVolume (CSI 1.12): volumes with where they are published and how they are.
//
// Listed are the volumes that only published nodes may use: those of this driver. A page's token names its
// last volume, so that volumes made or deleted meanwhile disturb no listing.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "csi/controller/control_plane.h"
#include "csi/v1/csi.pb.h"

namespace shima {

// ABORTED: the token is none that a listing gave (CSI 1.12, ListVolumes Errors).
grpc::Status list_volumes(ControlPlane& plane, const std::string& topology_key,
                          const ::csi::v1::ListVolumesRequest& request,
                          ::csi::v1::ListVolumesResponse& response);

// NOT_FOUND.
grpc::Status describe_one_volume(ControlPlane& plane, const std::string& topology_key,
                                 const std::string& volume_id,
                                 ::csi::v1::ControllerGetVolumeResponse& response);

}  // namespace shima
