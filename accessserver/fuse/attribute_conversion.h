// Attributes of the volume as the kernel wants them, and back.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstdint>

#include "accessserver/fileops/file_system.h"
#include "accessserver/fuse/fuse_library.h"

namespace shima {

// FUSE's node id of the root is 1, ours 2 (kRootInode); all others are the same. Our inode 1 never shows.
uint64_t inode_of(fuse_ino_t node);
fuse_ino_t node_of(uint64_t inode);

// Nanoseconds since 1970, floored for times before; times that 64 bits cannot hold become the nearest that
// they can.
int64_t to_ns(const timespec& time);
timespec to_timespec(int64_t ns);

// S_IFREG, ...; 0: not a type that the kernel knows.
mode_t type_bits(metadata::v1::FileType type);
metadata::v1::FileType file_type_of(mode_t mode);

// False: not an inode that may be shown (hostile or broken answer of a server).
bool to_stat(const FileAttributes& attributes, struct stat& stat);
// `to_set`: FUSE_SET_ATTR_* bits.
metadata::v1::NewAttributes to_new_attributes(const struct stat& stat, int to_set);
struct statvfs to_statvfs(const VolumeStatistics& statistics);

}  // namespace shima
