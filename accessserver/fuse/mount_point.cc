#include "accessserver/fuse/mount_point.h"

#include <fcntl.h>
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

constexpr const char* kControlFiles = "/sys/fs/fuse/connections/";

std::string error_text() { return strerror(errno); }

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return number_; }

 private:
  const int number_;
};

// The kernel's directory of a connection; the major number of its device is 0.
std::string connection_name(dev_t device) { return std::to_string(minor(device)); }

// The control files of all connections, mounted nowhere: many containers have none at kControlFiles.
int mount_control_files() {
  const Descriptor context(fsopen("fusectl", FSOPEN_CLOEXEC));
  if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -1;
  return fsmount(context, FSMOUNT_CLOEXEC, 0);
}

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

std::optional<dev_t> device_at(const std::string& path) {
  struct statx found {};
  if (statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &found) != 0) {
    return std::nullopt;
  }
  return makedev(found.stx_dev_major, found.stx_dev_minor);
}

Status abort_connection(dev_t device) {
  const std::string name = connection_name(device) + "/abort";
  const Descriptor mounted(open((kControlFiles + name).c_str(), O_WRONLY | O_CLOEXEC));
  if (mounted >= 0 && write(mounted, "1", 1) == 1) return {};
  const Descriptor control(mount_control_files());
  if (control < 0) return {Code::kIo, "cannot reach the control files of FUSE connections: " + error_text()};
  const Descriptor abort(openat(control, name.c_str(), O_WRONLY | O_CLOEXEC));
  if (abort < 0 && errno == ENOENT) return {};
  if (abort >= 0 && write(abort, "1", 1) == 1) return {};
  return {Code::kIo, "cannot abort FUSE connection " + connection_name(device) + ": " + error_text()};
}

void set_readahead(dev_t device, uint32_t bytes) {
  const std::string name = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  std::ofstream file("/sys/class/bdi/" + name + "/read_ahead_kb");
  file << bytes / 1024 << std::flush;
  if (!file)
    log(LogLevel::kInfo, "fuse", "cannot raise the read-ahead of device " + name + "; it stays at 128 KiB");
}

}  // namespace shima
