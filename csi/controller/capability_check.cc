#include "csi/controller/capability_check.h"

#include <charconv>
#include <vector>

#include "csi/controller/csi_errors.h"
#include "csi/node/mount_flags.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

using Capability = ::csi::v1::VolumeCapability;
using Mode = Capability::AccessMode;

grpc::Status check_mode(const Capability& capability) {
  const Mode::Mode mode = capability.access_mode().mode();
  if (mode != Mode::UNKNOWN && Mode::Mode_IsValid(mode)) return grpc::Status::OK;
  return invalid_argument(
      "volume_capability: access_mode is " + std::to_string(static_cast<int>(mode)) +
      ", wanted one of CSI 1.12's modes, 1 (SINGLE_NODE_WRITER) to 7 (SINGLE_NODE_MULTI_WRITER)");
}

grpc::Status check_group(const std::string& group) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(group.data(), group.data() + group.size(), number);
  const bool whole = error == std::errc() && end == group.data() + group.size();
  if (group.empty() || (whole && number != UINT32_MAX)) return grpc::Status::OK;
  return invalid_argument("volume_capability: volume_mount_group is " + quoted(group) +
                          ", wanted a group's number, 0 to 4294967294");
}

grpc::Status check_mount(const Capability::MountVolume& mount, const std::string& protocol) {
  const std::string& type = mount.fs_type();
  if (!type.empty() && type != "shima" && type != "fuse" && type != "nfs") {
    return invalid_argument(
        "volume_capability: fs_type is " + quoted(type) +
        ", but a volume is a file system already; leave it out (csi.storage.k8s.io/fstype of "
        "the StorageClass)");
  }
  const std::vector<std::string> flags(mount.mount_flags().begin(), mount.mount_flags().end());
  const auto known = parse_mount_flags(flags, protocol == "nfs" ? FileProtocol::kNfs : FileProtocol::kFuse);
  if (!known) return csi_error(known.status());
  return check_group(mount.volume_mount_group());
}

}  // namespace

grpc::Status check_capability(const Capability& capability, const std::string& protocol) {
  grpc::Status status = check_mode(capability);
  if (!status.ok()) return status;
  switch (capability.access_type_case()) {
    case Capability::kBlock:
      return grpc::Status::OK;
    case Capability::kMount:
      return check_mount(capability.mount(), protocol);
    case Capability::ACCESS_TYPE_NOT_SET:
      break;
  }
  return invalid_argument("volume_capability has no access type; give block or mount");
}

grpc::Status check_capabilities(const google::protobuf::RepeatedPtrField<Capability>& capabilities,
                                const std::string& protocol) {
  if (capabilities.empty())
    return invalid_argument("volume_capabilities are missing; say how the volume will be used");
  for (const Capability& capability : capabilities) {
    grpc::Status status = check_capability(capability, protocol);
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

bool is_single_node(const Capability& capability) {
  switch (capability.access_mode().mode()) {
    case Mode::SINGLE_NODE_WRITER:
    case Mode::SINGLE_NODE_READER_ONLY:
    case Mode::SINGLE_NODE_SINGLE_WRITER:
    case Mode::SINGLE_NODE_MULTI_WRITER:
      return true;
    default:
      return false;
  }
}

bool is_reader_only(const Capability& capability) {
  const Mode::Mode mode = capability.access_mode().mode();
  return mode == Mode::SINGLE_NODE_READER_ONLY || mode == Mode::MULTI_NODE_READER_ONLY;
}

bool has_one_writer(const Capability& capability) {
  return capability.access_mode().mode() == Mode::MULTI_NODE_SINGLE_WRITER;
}

}  // namespace shima
