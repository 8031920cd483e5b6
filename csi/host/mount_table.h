// What is mounted on this machine, as the kernel's table says: proc(5), /proc/PID/mountinfo.
//
// PURE but for read_mount_table(). The table is asked instead of the mounted file systems, since those may
// hang. Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct MountEntry {
  uint64_t mount_id = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;  // of FUSE: the connection's number below /sys/fs/fuse/connections
  std::string root;           // which part of the file system: "/" or, of a bind mount, a path in it
  std::string path;           // where
  std::string options;        // of this mount: "rw,nosuid,relatime"
  std::string type;           // "fuse.shima", "nfs", "devtmpfs", ...
  std::string source;         // "shima:VOLUME", "ADDRESS:/VOLUME"
  std::string super_options;  // of the file system

  bool has_option(std::string_view option) const;  // among `options`
  bool read_only() const { return has_option("ro"); }
};

class MountTable {
 public:
  MountTable() = default;
  // In the order of the kernel's table; a later one covers an earlier one at the same path.
  explicit MountTable(std::vector<MountEntry> entries) : entries_(std::move(entries)) {}

  // What is seen at exactly this path; null: it is not a mount point.
  const MountEntry* at(std::string_view path) const;
  // How many mounts lie on each other at exactly this path.
  size_t depth(std::string_view path) const;
  const std::vector<MountEntry>& entries() const { return entries_; }

 private:
  std::vector<MountEntry> entries_;
};

// kCorrupt names the line. Octal escapes (\040) are taken out of paths.
Result<MountTable> parse_mount_table(std::string_view text);

// /proc/self/mountinfo. kIo.
Result<MountTable> read_mount_table();

// Is the mount a FUSE mount of the volume, as shima-accessserver makes it?
bool is_fuse_mount_of(const MountEntry& entry, std::string_view volume);
// Is it an NFS mount of /VOLUME?
bool is_nfs_mount_of(const MountEntry& entry, std::string_view volume);

}  // namespace shima
