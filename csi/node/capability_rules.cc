#include "csi/node/capability_rules.h"

#include "csi/host/absolute_path.h"
#include "csi/node/mount_flags.h"
#include "csi/node/volume_group.h"

namespace shima {
namespace {

using Capability = ::csi::v1::VolumeCapability;
using Context = google::protobuf::Map<std::string, std::string>;

constexpr size_t kMostIdBytes = 128;
constexpr size_t kMostMapBytes = 4096;

Status wrong(const std::string& text) { return {Code::kInvalidArgument, text}; }

Status check_map(const char* field, const Context& map) {
  size_t bytes = 0;
  for (const auto& [key, value] : map) bytes += key.size() + value.size();
  return bytes <= kMostMapBytes ? Status::ok()
                                : wrong(std::string(field) + ": wanted at most 4096 bytes in all");
}

Status take_mode(const Capability& capability, WantedUse& use) {
  using Mode = Capability::AccessMode;
  switch (capability.access_mode().mode()) {
    case Mode::SINGLE_NODE_READER_ONLY:
    case Mode::MULTI_NODE_READER_ONLY:
      use.read_only = true;
      return {};
    case Mode::SINGLE_NODE_SINGLE_WRITER:
      use.single_writer = true;
      return {};
    case Mode::SINGLE_NODE_WRITER:
    case Mode::SINGLE_NODE_MULTI_WRITER:
    case Mode::MULTI_NODE_SINGLE_WRITER:
    case Mode::MULTI_NODE_MULTI_WRITER:
      return {};
    default:
      return wrong("volume_capability.access_mode: found " + std::to_string(capability.access_mode().mode()) +
                   ", wanted one of the modes of CSI 1.12, not UNKNOWN");
  }
}

Status take_protocol(const Context& context, WantedUse& use) {
  const auto found = context.find("protocol");
  if (found == context.end() || found->second.empty() || found->second == "fuse") return {};
  if (found->second != "nfs") return wrong("volume_context: protocol: wanted \"fuse\" or \"nfs\"");
  use.protocol = FileProtocol::kNfs;
  return {};
}

Status take_mount(const Capability::MountVolume& mount, WantedUse& use) {
  const std::string& type = mount.fs_type();
  if (!type.empty() && type != "shima" && type != "fuse" && type != "nfs") {
    return wrong("volume_capability.mount.fs_type: a volume is no \"" + type.substr(0, 32) +
                 "\"; leave it out (csi.storage.k8s.io/fstype of the StorageClass)");
  }
  const std::vector<std::string> given(mount.mount_flags().begin(), mount.mount_flags().end());
  auto flags = parse_mount_flags(given, use.protocol);
  if (!flags) return flags.status();
  use.flags = flags->given;
  if (flags->read_only.value_or(false)) use.read_only = true;
  if (mount.volume_mount_group().empty()) return {};
  auto group = parse_group(mount.volume_mount_group());
  if (!group) return group.status();
  use.mount_group = *group;
  return {};
}

}  // namespace

Status check_volume_id(const std::string& id) {
  if (id.empty()) return wrong("volume_id is missing: give the id that CreateVolume answered");
  if (id.size() > kMostIdBytes) return wrong("volume_id: wanted at most 128 bytes");
  return {};
}

Result<WantedUse> wanted_use(bool given, const Capability& capability, const Context& context) {
  if (!given) return wrong("volume_capability is missing: give one with an access mode");
  WantedUse use;
  SHIMA_RETURN_IF_ERROR(check_map("volume_context", context));
  SHIMA_RETURN_IF_ERROR(take_protocol(context, use));
  SHIMA_RETURN_IF_ERROR(take_mode(capability, use));
  if (capability.has_mount()) {
    SHIMA_RETURN_IF_ERROR(take_mount(capability.mount(), use));
  } else if (capability.has_block()) {
    use.block = true;
  } else {
    return wrong("volume_capability: wanted an access type, block or mount");
  }
  return use;
}

Result<StageRecord> stage_request(const ::csi::v1::NodeStageVolumeRequest& request) {
  SHIMA_RETURN_IF_ERROR(check_volume_id(request.volume_id()));
  SHIMA_RETURN_IF_ERROR(check_normalized_path("staging_target_path", request.staging_target_path()));
  SHIMA_RETURN_IF_ERROR(check_map("publish_context", request.publish_context()));
  auto use =
      wanted_use(request.has_volume_capability(), request.volume_capability(), request.volume_context());
  if (!use) return use.status();
  StageRecord record;
  record.volume = request.volume_id();
  record.staging_path = request.staging_target_path();
  record.block = use->block;
  record.read_only = use->read_only;
  record.protocol = use->protocol;
  record.flags = use->flags;
  record.mount_group = use->mount_group;
  return record;
}

Result<PublishRequest> publish_request(const ::csi::v1::NodePublishVolumeRequest& request) {
  SHIMA_RETURN_IF_ERROR(check_volume_id(request.volume_id()));
  SHIMA_RETURN_IF_ERROR(check_normalized_path("target_path", request.target_path()));
  SHIMA_RETURN_IF_ERROR(check_map("publish_context", request.publish_context()));
  auto use =
      wanted_use(request.has_volume_capability(), request.volume_capability(), request.volume_context());
  if (!use) return use.status();
  if (request.staging_target_path().empty()) {
    return Status(
        Code::kFailedPrecondition,
        "staging_target_path is missing: volumes are staged first; call NodeStageVolume, and name its path");
  }
  SHIMA_RETURN_IF_ERROR(check_normalized_path("staging_target_path", request.staging_target_path()));
  PublishRequest wanted;
  wanted.volume = request.volume_id();
  wanted.staging_path = request.staging_target_path();
  wanted.target = {request.target_path(), request.readonly() || use->read_only, use->flags};
  wanted.block = use->block;
  wanted.single_writer = use->single_writer;
  return wanted;
}

}  // namespace shima
