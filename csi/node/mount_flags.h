// CSI's mount_flags (VolumeCapability.MountVolume): options of a PersistentVolume or StorageClass, hostile
// input.
//
// PURE. Only those of the list below are taken; any other is kInvalidArgument by name, with those that are
// known. Threads: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "csi/node/stage_record.h"

namespace shima {

struct MountFlags {
  unsigned long flags = 0;         // MS_* of mount(2), each mount's own
  std::optional<bool> read_only;   // "ro", "rw"
  std::vector<std::string> nfs;    // further options of nfs(5): "nconnect=4"
  std::vector<std::string> given;  // sorted, each once: what is remembered and compared
};

// At most 32 flags and 4 KiB (CSI 1.12, size limits).
Result<MountFlags> parse_mount_flags(const std::vector<std::string>& given, FileProtocol protocol);

}  // namespace shima
