#include "csi/host/kernel_mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "csi/host/absolute_path.h"
#include "csi/host/bounded_call.h"

namespace shima {
namespace {

constexpr unsigned long kPerMountFlags =
    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;
constexpr size_t kMostLayers = 64;  // of mounts over each other at one path

int unmount_errno(const std::string& path, int flags) {
  if (umount2(path.c_str(), UMOUNT_NOFOLLOW | flags) == 0) return 0;
  return errno == EINVAL || errno == ENOENT ? 0 : errno;  // not mounted (any more)
}

}  // namespace

Status bind_mount(const std::string& from, const std::string& to, unsigned long flags, uint32_t deadline_ms) {
  SHIMA_RETURN_IF_ERROR(run_bounded("bind " + from + " to " + to, deadline_ms, [&] {
    return ::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0 ? 0 : errno;
  }));
  Status status = set_bind_flags(to, flags, deadline_ms);
  if (status.is_ok()) return status;
  const Status undone = unmount_lazily(to, false, deadline_ms);
  return undone.is_ok() ? status : status.with_context(undone.to_string());
}

Status set_bind_flags(const std::string& path, unsigned long flags, uint32_t deadline_ms) {
  const unsigned long wanted = MS_BIND | MS_REMOUNT | (flags & kPerMountFlags);
  return run_bounded("set the flags of the mount at " + path, deadline_ms, [&] {
    return ::mount(nullptr, path.c_str(), nullptr, wanted, nullptr) == 0 ? 0 : errno;
  });
}

bool lists_file_system(std::string_view proc_filesystems, std::string_view name) {
  std::istringstream lines{std::string(proc_filesystems)};
  for (std::string line; std::getline(lines, line);) {
    if (line.substr(line.rfind('\t') + 1) == name) return true;
  }
  return false;
}

bool kernel_has_file_system(const std::string& name) {
  std::ifstream file("/proc/filesystems");
  std::ostringstream text;
  text << file.rdbuf();
  return lists_file_system(text.str(), name);
}

Status mount_nfs(const std::string& source, const std::string& path, unsigned long flags,
                 const std::string& options, uint32_t deadline_ms) {
  const std::string what = "mount " + source + " at " + path + " by NFS";
  // mount(2) is what makes the kernel load its module, where it has one.
  const auto result = run_bounded_bytes(
      what, deadline_ms, nullptr, 0,
      [&](void*) {
        return ::mount(source.c_str(), path.c_str(), "nfs", flags, options.c_str()) == 0 ? 0 : errno;
      },
      {});
  if (result && result->in_time && result->error == ENODEV) {
    return {Code::kFailedPrecondition,
            "the kernel of this node has no NFS client; load its module (modprobe nfsv3), or make the volume "
            "with the parameter protocol: fuse"};
  }
  return bounded_status(what, deadline_ms, result);
}

Status unmount(const std::string& path, uint32_t deadline_ms) {
  return run_bounded("unmount " + path, deadline_ms, [&] { return unmount_errno(path, 0); });
}

Status unmount_lazily(const std::string& path, bool force, uint32_t deadline_ms) {
  const int flags = MNT_DETACH | (force ? MNT_FORCE : 0);
  return run_bounded("unmount " + path + " lazily", deadline_ms, [&] { return unmount_errno(path, flags); });
}

Status unmount_all(const std::string& path, uint32_t deadline_ms) {
  for (size_t layer = 0; layer < kMostLayers; ++layer) {
    auto table = read_mount_table();
    if (!table) return table.status();
    if (table->at(path) == nullptr) return {};
    SHIMA_RETURN_IF_ERROR(unmount_lazily(path, false, deadline_ms));
  }
  return {Code::kFailedPrecondition,
          "more than 64 mounts lie on each other at " + path + "; unmount them by hand"};
}

Status sync_file_system(const std::string& path, uint32_t deadline_ms) {
  return run_bounded("write what is unwritten at " + path + " to its servers", deadline_ms, [&] {
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return fd >= 0 && syncfs(fd) == 0 ? 0 : errno;
  });
}

Result<FileSystemUsage> file_system_usage(const std::string& path, uint32_t deadline_ms) {
  return run_bounded_for<FileSystemUsage>(
      "ask the file system at " + path, deadline_ms, [&](FileSystemUsage& usage) {
        struct statfs found {};
        if (statfs(path.c_str(), &found) != 0) return errno;
        const auto unit = static_cast<uint64_t>(found.f_frsize > 0 ? found.f_frsize : found.f_bsize);
        usage.total_bytes = found.f_blocks * unit;
        usage.used_bytes = (found.f_blocks - found.f_bfree) * unit;
        usage.available_bytes = found.f_bavail * unit;
        usage.total_inodes = found.f_files;
        usage.used_inodes = found.f_files - found.f_ffree;
        usage.available_inodes = found.f_ffree;
        return 0;
      });
}

MountHealth probe_mount(const std::string& path, uint32_t deadline_ms) {
  const auto ask = [&](void*) {
    struct statfs found {};
    struct stat root {};
    return statfs(path.c_str(), &found) == 0 && lstat(path.c_str(), &root) == 0 ? 0 : errno;
  };
  const auto result = run_bounded_bytes("ask the mount at " + path, deadline_ms, nullptr, 0, ask, {});
  if (!result || !result->in_time) return MountHealth::kHung;
  switch (result->error) {
    case 0:
      return MountHealth::kHealthy;
    case ENOTCONN:
    case ECONNABORTED:
    case ESTALE:
      return MountHealth::kDead;
    case EACCES:
    case EPERM:
      return MountHealth::kRefused;
    default:
      return MountHealth::kHung;
  }
}

Status make_mount_directory(const std::string& path) {
  auto parent = open_parent("mount point", path);
  if (!parent) return parent.status();
  const std::string name = last_component(path);
  if (mkdirat(parent->get(), name.c_str(), 0750) == 0) return {};
  if (errno != EEXIST) return status_of_errno("make directory " + path, errno);
  struct stat found {};
  // AT_NO_AUTOMOUNT and the kernel's cached type: a dead mount here is the caller's to have looked at before.
  if (fstatat(parent->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    return status_of_errno("look at " + path, errno);
  }
  if (S_ISDIR(found.st_mode)) return {};
  return {Code::kInvalidArgument, path + " is there and no directory; remove it, or name another path"};
}

Status make_mount_file(const std::string& path) {
  auto parent = open_parent("mount point", path);
  if (!parent) return parent.status();
  const std::string name = last_component(path);
  const OwnedFd file(
      openat(parent->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660));
  if (file) return {};
  if (errno != EEXIST) return status_of_errno("make file " + path, errno);
  struct stat found {};
  if (fstatat(parent->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    return status_of_errno("look at " + path, errno);
  }
  if (S_ISREG(found.st_mode) && found.st_size == 0) return {};
  return {Code::kInvalidArgument, path + " is there and no empty file; remove it, or name another path"};
}

Status remove_mount_point(const std::string& path) {
  auto parent = open_parent("mount point", path);
  if (!parent) return parent.status().code() == Code::kNotFound ? Status::ok() : parent.status();
  const std::string name = last_component(path);
  if (unlinkat(parent->get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  if (errno == ENOTEMPTY || errno == EEXIST) {
    return {Code::kFailedPrecondition,
            path + " is no mount point and not empty; what is in it is not ours: move it away"};
  }
  if (errno != ENOTDIR) return status_of_errno("remove " + path, errno);
  struct stat found {};
  if (fstatat(parent->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Status::ok() : status_of_errno("look at " + path, errno);
  }
  if (!S_ISREG(found.st_mode) || found.st_size != 0) {
    return {Code::kFailedPrecondition,
            path + " is no mount point and no empty file: it is not ours, move it away"};
  }
  if (unlinkat(parent->get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return status_of_errno("remove " + path, errno);
  }
  return {};
}

}  // namespace shima
