#include "accessserver/fuse/mount_point.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "common/observe/log.h"

namespace shima {

namespace {

std::string error_text() { return strerror(errno); }

}  // namespace

Result<std::string> prepare_mount_point(const std::string& path) {
  struct stat stat {};
  // ENOTCONN: a FUSE mount whose server is gone; ECONNABORTED: one that was aborted.
  if (::stat(path.c_str(), &stat) != 0 && (errno == ENOTCONN || errno == ECONNABORTED)) {
    log(LogLevel::kWarning, "fuse", "taking a dead mount off " + path);
    if (umount2(path.c_str(), MNT_DETACH) != 0) {
      return {Code::kInvalidArgument,
              "a dead mount is on " + path + " and cannot be taken off: " + error_text()};
    }
  }
  const std::unique_ptr<char, decltype(&free)> absolute(realpath(path.c_str(), nullptr), free);
  if (absolute == nullptr) {
    return {Code::kInvalidArgument,
            "cannot mount on " + path + ": " + error_text() + "; it must be a directory"};
  }
  if (::stat(absolute.get(), &stat) != 0 || !S_ISDIR(stat.st_mode)) {
    return {Code::kInvalidArgument, "cannot mount on " + path + ": it is not a directory"};
  }
  return std::string(absolute.get());
}

std::string mount_options(const FuseOptions& options, const std::string& volume, uint32_t transfer_bytes) {
  std::string name = volume;
  for (char& c : name) {
    if (c == ',' || c == '\\' || static_cast<unsigned char>(c) <= ' ') c = '_';
  }
  std::string text = "default_permissions,suid,dev,fsname=shima:" + name +
                     ",subtype=shima,max_read=" + std::to_string(transfer_bytes);
  if (options.allow_other) text += ",allow_other";
  if (options.read_only) text += ",ro";
  return text;
}

Status unmount_point(const std::string& path, bool force) {
  if (umount2(path.c_str(), UMOUNT_NOFOLLOW | (force ? MNT_FORCE | MNT_DETACH : 0)) == 0) return {};
  if (errno == EINVAL || errno == ENOENT) return {};
  if (errno == EBUSY) {
    return {Code::kFailedPrecondition,
            path + " is in use; end what uses it (fuser -vm), or unmount with force"};
  }
  return {Code::kIo, "cannot unmount " + path + ": " + error_text()};
}

void set_readahead(const std::string& path, uint32_t bytes) {
  // stat() is answered after INIT, in which the kernel lowers read-ahead to its default.
  struct stat stat {};
  if (::stat(path.c_str(), &stat) != 0) return;
  std::ofstream file("/sys/class/bdi/" + std::to_string(major(stat.st_dev)) + ":" +
                     std::to_string(minor(stat.st_dev)) + "/read_ahead_kb");
  file << bytes / 1024 << std::flush;
  if (!file) log(LogLevel::kInfo, "fuse", "cannot raise the read-ahead of " + path + "; it stays at 128 KiB");
}

}  // namespace shima
