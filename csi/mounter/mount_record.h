// MountRecord: what the mounter remembers of a FUSE mount, so that a later mounter finds it again.
//
// PURE: JSON, one file a mount, "HASH.json" with the hash of the path. Records are read as input: a file that
// is no such record is kCorrupt, with what is wrong in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status/status.h"
#include "csi/host/process_identity.h"

namespace shima {

struct MountRecord {
  std::string path;
  std::string volume;
  bool read_only = false;
  std::string node;
  uint64_t publication = 0;
  ProcessIdentity process;  // pid 0: not started yet
  uint32_t connection = 0;  // of the kernel's FUSE; 0: not mounted yet
  int64_t since_ms = 0;     // since 1970

  // Is `other` the same mount for who uses it?
  bool same_mount(const MountRecord& other) const {
    return path == other.path && volume == other.volume && read_only == other.read_only &&
           node == other.node && publication == other.publication;
  }
};

// 16 hexadecimal digits, the same for a path for ever (FNV-1a): names the files of its mount.
std::string mount_id(std::string_view path);

std::string to_json(const MountRecord& record);
Result<MountRecord> mount_record_from_json(const std::string& text);

}  // namespace shima
