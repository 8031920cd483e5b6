// ControllerPublishVolume and ControllerUnpublishVolume (CSI 1.12): which nodes may use a volume.
//
// A publication is written in the volume's record. Core servers refuse a node without one, and what began
// under an older one; unpublishing returns when all of the volume's primaries do so.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "csi/controller/control_plane.h"
#include "csi/v1/csi.pb.h"

namespace shima {

// PURE. FAILED_PRECONDITION names the nodes whose publications the access mode excludes: any other node's, if
// it is for one node; another writer's, if it is for one writer.
grpc::Status check_other_nodes(const cluster::v1::VolumeRecord& record, const std::string& node,
                               bool read_only, const ::csi::v1::VolumeCapability& capability);

// NOT_FOUND: no such volume, or a node that is none of this driver's or whose site is not of the cluster.
// ALREADY_EXISTS: published at the node with another `readonly`.
grpc::Status publish_volume(ControlPlane& plane, const ::csi::v1::ControllerPublishVolumeRequest& request,
                            ::csi::v1::ControllerPublishVolumeResponse& response);

// Ok for a volume or a node that is not there.
grpc::Status unpublish_volume(ControlPlane& plane,
                              const ::csi::v1::ControllerUnpublishVolumeRequest& request);

}  // namespace shima
