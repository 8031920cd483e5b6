// PURE: names of volumes: an orchestrator's name for a volume, and the volume's name in Shima, which is its
// id.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

namespace shima {

// 1 to 63 of [a-z0-9.-], the first a letter or a digit. An id that is none names no volume.
bool can_be_volume_name(std::string_view text);

// Missing, or with characters that CSI 1.12 bans (CreateVolumeRequest.name): INVALID_ARGUMENT.
grpc::Status check_csi_name(const std::string& name);

// The name itself if it can be a volume's, else "csi-" and 40 hexadecimal digits of its sha256. A name that
// looks like such a one is hashed too: two names never mean one volume.
std::string volume_name_for(const std::string& csi_name);

}  // namespace shima
