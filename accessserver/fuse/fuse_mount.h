// FuseMount: a volume in this machine's file tree (kernel FUSE through libfuse 3, low-level API), over
// accessserver/fileops only.
//
// The kernel checks permissions (default_permissions) and keeps no name and no attribute longer than
// attribute_timeout_ms (0: it asks at every use, I6). Reads may come from its page cache after it has
// compared size and mtime with ours (auto_inval_data); writes go through at once and are on disk twice when
// they return (R21), so fsync(2) has nothing to do. O_DIRECT opens bypass the cache. What mmap(2) dirtied is
// written at msync, munmap, close, or when the kernel likes.
//
// What Linux' FUSE leaves short of a local file system, whatever a server does:
//   * a process that maps a file is not told of another machine's writes until it reads or maps it anew;
//   * MAP_SHARED of a descriptor that was opened with O_DIRECT or O_APPEND (or of any, with FuseCache::kNone)
//   is
//     ENODEV: these pass the page cache by, O_APPEND because an append through it may be two requests;
//   * close(2) does not wait for RELEASE: for other mounts, flock and OFD locks go a moment after the last
//     close (requests about locks in this mount wait for it);
//   * rename(2) of a directory into another one is ESTALE if another machine has moved the directory and this
//     kernel has not looked at it since (as with NFS; stat(2) of the name cures it);
//   * a single append of more than 1 MiB, or any of a descriptor that got O_APPEND from fcntl(2), may be
//     several, between which another machine's may get.
// security.* attributes are refused (EOPNOTSUPP): the kernel would ask for security.capability before each
// write.
//
// Inode numbers are the volume's; only the root's node id is FUSE's 1. Threads: each method from any thread,
// but not from the loop of the FileSystem.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "accessserver/fileops/file_system.h"
#include "common/status/status.h"

namespace shima {

enum class FuseCache : uint8_t {
  kPages,  // reads may come from the kernel's pages (needed for shared mmap)
  kNone,   // every read and write comes here (FOPEN_DIRECT_IO)
};

struct FuseOptions {
  std::string mount_point;  // an existing directory; a dead FUSE mount on it is taken off
  uint32_t threads = 4;     // that read requests; answers come from the FileSystem's loop. 1 to 64
  bool clone_fd = true;     // a descriptor of /dev/fuse for each thread
  bool allow_other = true;  // all users may use it, not only the one who mounted
  bool read_only = false;
  FuseCache cache = FuseCache::kPages;
  // How long the kernel may believe names and attributes. More than 0 gives I6 up for that long: only for
  // volumes that nobody else changes. At most 60,000.
  uint32_t attribute_timeout_ms = 0;
  // Called once on a thread of the mount when it is gone, whoever unmounted it. Must not destroy the
  // FuseMount.
  std::function<void()> ended;
};

class FuseMount {
 public:
  // Mounts and begins to answer. Needs root (or CAP_SYS_ADMIN) and /dev/fuse. kInvalidArgument: options or
  // mount point; kIo: the kernel or libfuse refused. `files` must outlive the mount.
  static Result<std::unique_ptr<FuseMount>> mount(FileSystem& files, FuseOptions options);

  // force_unmount() if it is still mounted; waits as wait() does.
  ~FuseMount();
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  // Unmounts and waits for requests in flight. kFailedPrecondition: somebody uses it (EBUSY), and it stays
  // mounted; or it is off the mount point, but files are open where umount(2) does not reach: in another
  // mount namespace that has a copy of the mount (each new namespace copies all mounts), or after somebody's
  // lazy unmount. These are served on. Copies in which nothing is open end with this call.
  Status unmount();
  // Takes the mount away from whoever uses it, in whatever namespace: what they have open answers ENOTCONN.
  Status force_unmount();
  // Until the mount is gone and every request has been answered and every open closed. When somebody else
  // unmounts it, copies of it in other mount namespaces, and what is open after a lazy unmount, are still
  // served: then it waits for their end, too, unless unmount() or force_unmount() is called.
  void wait();
  bool mounted() const;

 private:
  class Impl;
  explicit FuseMount(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
