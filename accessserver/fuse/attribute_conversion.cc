#include "accessserver/fuse/attribute_conversion.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <limits>

namespace shima {

namespace {

using metadata::v1::FileType;

constexpr uint64_t kOurRoot = 2;  // kRootInode of coreserver/jobs
constexpr int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

uint64_t inode_of(fuse_ino_t node) { return node == FUSE_ROOT_ID ? kOurRoot : node; }
fuse_ino_t node_of(uint64_t inode) { return inode == kOurRoot ? FUSE_ROOT_ID : inode; }

int64_t to_ns(const timespec& time) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();
  int64_t ns = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(time.tv_sec), kNsPerSecond, &ns) ||
      __builtin_add_overflow(ns, static_cast<int64_t>(time.tv_nsec), &ns)) {
    return time.tv_sec < 0 ? kMin : kMax;
  }
  return ns;
}

timespec to_timespec(int64_t ns) {
  timespec time{};
  time.tv_sec = ns / kNsPerSecond;
  time.tv_nsec = ns % kNsPerSecond;
  if (time.tv_nsec < 0) {
    time.tv_nsec += kNsPerSecond;
    --time.tv_sec;
  }
  return time;
}

mode_t type_bits(FileType type) {
  switch (type) {
    case metadata::v1::FILE_TYPE_REGULAR:
      return S_IFREG;
    case metadata::v1::FILE_TYPE_DIRECTORY:
      return S_IFDIR;
    case metadata::v1::FILE_TYPE_SYMLINK:
      return S_IFLNK;
    case metadata::v1::FILE_TYPE_BLOCK_DEVICE:
      return S_IFBLK;
    case metadata::v1::FILE_TYPE_CHARACTER_DEVICE:
      return S_IFCHR;
    case metadata::v1::FILE_TYPE_FIFO:
      return S_IFIFO;
    case metadata::v1::FILE_TYPE_SOCKET:
      return S_IFSOCK;
    default:
      return 0;
  }
}

FileType file_type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case 0:  // mknod(2): zero means a regular file
    case S_IFREG:
      return metadata::v1::FILE_TYPE_REGULAR;
    case S_IFDIR:
      return metadata::v1::FILE_TYPE_DIRECTORY;
    case S_IFLNK:
      return metadata::v1::FILE_TYPE_SYMLINK;
    case S_IFBLK:
      return metadata::v1::FILE_TYPE_BLOCK_DEVICE;
    case S_IFCHR:
      return metadata::v1::FILE_TYPE_CHARACTER_DEVICE;
    case S_IFIFO:
      return metadata::v1::FILE_TYPE_FIFO;
    case S_IFSOCK:
      return metadata::v1::FILE_TYPE_SOCKET;
    default:
      return metadata::v1::FILE_TYPE_UNSPECIFIED;
  }
}

bool to_stat(const FileAttributes& attributes, struct stat& stat) {
  const mode_t type = type_bits(attributes.type());
  if (type == 0 || attributes.inode() < kOurRoot ||
      attributes.size() > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) {
    return false;
  }
  stat = {};
  stat.st_ino = attributes.inode();
  stat.st_mode = type | (attributes.mode() & 07777);
  stat.st_nlink = attributes.nlink();
  stat.st_uid = attributes.uid();
  stat.st_gid = attributes.gid();
  stat.st_rdev = makedev(attributes.rdev_major(), attributes.rdev_minor());
  stat.st_size = static_cast<off_t>(attributes.size());
  stat.st_blksize = 4096;
  stat.st_blocks =
      static_cast<blkcnt_t>(attributes.used_bytes() / 512 + (attributes.used_bytes() % 512 != 0));
  stat.st_atim = to_timespec(attributes.atime_ns());
  stat.st_mtim = to_timespec(attributes.mtime_ns());
  stat.st_ctim = to_timespec(attributes.ctime_ns());
  return true;
}

metadata::v1::NewAttributes to_new_attributes(const struct stat& stat, int to_set) {
  metadata::v1::NewAttributes set;
  if (to_set & FUSE_SET_ATTR_MODE) set.set_mode(stat.st_mode & 07777);
  if (to_set & FUSE_SET_ATTR_UID) set.set_uid(stat.st_uid);
  if (to_set & FUSE_SET_ATTR_GID) set.set_gid(stat.st_gid);
  if (to_set & FUSE_SET_ATTR_SIZE) set.set_size(static_cast<uint64_t>(stat.st_size));
  if (to_set & FUSE_SET_ATTR_ATIME_NOW) {
    set.set_atime_now(true);
  } else if (to_set & FUSE_SET_ATTR_ATIME) {
    set.set_atime_ns(to_ns(stat.st_atim));
  }
  if (to_set & FUSE_SET_ATTR_MTIME_NOW) {
    set.set_mtime_now(true);
  } else if (to_set & FUSE_SET_ATTR_MTIME) {
    set.set_mtime_ns(to_ns(stat.st_mtim));
  }
  if (to_set & FUSE_SET_ATTR_CTIME) set.set_ctime_ns(to_ns(stat.st_ctim));
  return set;
}

struct statvfs to_statvfs(const VolumeStatistics& statistics) {
  struct statvfs out {};
  const uint64_t block = std::max<uint64_t>(statistics.block_size, 512);
  out.f_bsize = block;
  out.f_frsize = block;
  out.f_blocks = statistics.total_bytes / block;
  out.f_bfree = statistics.free_bytes / block;
  out.f_bavail = out.f_bfree;
  out.f_files = statistics.total_inodes;
  out.f_ffree = statistics.free_inodes;
  out.f_favail = statistics.free_inodes;
  out.f_namemax = 255;
  return out;
}

}  // namespace shima
