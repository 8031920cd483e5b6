// PURE: the fields of the Node service's requests, checked: CSI 1.12, "Node Service RPC", "Size Limits".
// Errors: kInvalidArgument with the field's name, what is wanted and what to do. Threads: any.
#pragma once

#include <string>

#include "common/status/status.h"
#include "csi/node/node_volumes.h"
#include "csi/node/stage_record.h"
#include "csi/v1/csi.pb.h"

namespace shima {

// A VolumeCapability in our terms.
struct WantedUse {
  bool block = false;
  bool read_only = false;      // by the access mode, or the mount flag "ro"
  bool single_writer = false;  // one target on this node
  FileProtocol protocol = FileProtocol::kFuse;
  std::vector<std::string> flags;
  std::optional<uint32_t> mount_group;
};

// 1 to 128 bytes.
Status check_volume_id(const std::string& id);

// `context`: the request's volume_context, whose "protocol" says fuse (default) or nfs.
Result<WantedUse> wanted_use(bool given, const ::csi::v1::VolumeCapability& capability,
                             const google::protobuf::Map<std::string, std::string>& context);

Result<StageRecord> stage_request(const ::csi::v1::NodeStageVolumeRequest& request);
// kFailedPrecondition: staging_target_path is missing (CSI 1.12, NodePublishVolume, errors).
Result<PublishRequest> publish_request(const ::csi::v1::NodePublishVolumeRequest& request);

}  // namespace shima
