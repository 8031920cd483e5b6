// PURE: how a volume is going to be used (CSI 1.12, VolumeCapability), checked. Every access mode is good for
// directories and for block devices.
#pragma once

#include <google/protobuf/repeated_field.h>
#include <grpcpp/support/status.h>

#include <string>

#include "csi/v1/csi.pb.h"

namespace shima {

// INVALID_ARGUMENT: something is missing, unknown, or not for the protocol, "fuse" or "nfs".
grpc::Status check_capability(const ::csi::v1::VolumeCapability& capability, const std::string& protocol);
// At least one, and each good.
grpc::Status check_capabilities(
    const google::protobuf::RepeatedPtrField<::csi::v1::VolumeCapability>& capabilities,
    const std::string& protocol);

// The access mode is for one node at a time.
bool is_single_node(const ::csi::v1::VolumeCapability& capability);
// The access mode lets nobody write.
bool is_reader_only(const ::csi::v1::VolumeCapability& capability);
// Many nodes, of which one writes.
bool has_one_writer(const ::csi::v1::VolumeCapability& capability);

}  // namespace shima
