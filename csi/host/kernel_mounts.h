// Mounting and unmounting by the kernel, each call within a deadline (bounded_call.h).
//
// No call follows a symbolic link or touches a file system behind a dead mount. Threads: any.
#pragma once

#include <sys/statfs.h>

#include <cstdint>
#include <string>

#include "common/status/status.h"
#include "csi/host/mount_table.h"

namespace shima {

// What a mount point answers when asked. kDead: its server has gone for good. kHung: it does not answer, or
// answers errors (ETIMEDOUT, EIO) that may end by themselves: its servers may come back. kRefused: its server
// does not let this node in (any more), and says so (EACCES).
enum class MountHealth { kHealthy, kDead, kHung, kRefused };

struct FileSystemUsage {
  uint64_t total_bytes = 0, used_bytes = 0, available_bytes = 0;
  uint64_t total_inodes = 0, used_inodes = 0, available_inodes = 0;
};

// Binds `from` (directory or device node) on `to`, with the per-mount MS_* flags, MS_RDONLY among them. What
// is half done when a flag is refused is undone.
Status bind_mount(const std::string& from, const std::string& to, unsigned long flags, uint32_t deadline_ms);

// The flags of a bind mount that is there.
Status set_bind_flags(const std::string& path, unsigned long flags, uint32_t deadline_ms);

// The kernel's NFS client: nfs(5). `options`: what mount(2) takes as data. kFailedPrecondition: the kernel
// has none.
Status mount_nfs(const std::string& source, const std::string& path, unsigned long flags,
                 const std::string& options, uint32_t deadline_ms);

// PURE. Does /proc/filesystems name it?
bool lists_file_system(std::string_view proc_filesystems, std::string_view name);
bool kernel_has_file_system(const std::string& name);

// Ok if nothing is mounted there. kFailedPrecondition: in use; kDeadlineExceeded.
Status unmount(const std::string& path, uint32_t deadline_ms);
// Takes it out of the tree at once, whoever uses it; with `force` requests under way get errors.
Status unmount_lazily(const std::string& path, bool force, uint32_t deadline_ms);
// Everything that is mounted at this path, lazily. Ok if nothing is.
Status unmount_all(const std::string& path, uint32_t deadline_ms);

// syncfs(2): what the kernel holds for the file system is at its servers.
Status sync_file_system(const std::string& path, uint32_t deadline_ms);

// statfs(2). kUnavailable: dead (ENOTCONN, ESTALE, ...); kDeadlineExceeded: it hangs.
Result<FileSystemUsage> file_system_usage(const std::string& path, uint32_t deadline_ms);
// By statfs and lstat of the root.
MountHealth probe_mount(const std::string& path, uint32_t deadline_ms);

// A directory for a mount; ok if there is one. Its parent must exist.
Status make_mount_directory(const std::string& path);
// An empty file for the bind mount of a device node.
Status make_mount_file(const std::string& path);
// Removes the empty directory or file that a mount was on; ok if it is not there. Only after the table has
// said that nothing is mounted there: what is below a mount must not be removed.
Status remove_mount_point(const std::string& path);

}  // namespace shima
