#include "csi/host/loop_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "csi/host/absolute_path.h"
#include "csi/host/bounded_call.h"

namespace shima {
namespace {

constexpr uint32_t kLogicalBlockBytes = 512;  // what QEMU and firmware boot from everywhere
constexpr int kMostTries = 64;                // others take the free device that was found

std::string sysfs_file(uint32_t number, const char* name) {
  return "/sys/block/loop" + std::to_string(number) + "/" + name;
}

Result<uint32_t> free_number() {
  const OwnedFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) {
    return Status(Code::kFailedPrecondition,
                  "cannot open /dev/loop-control: this node's kernel has no loop devices (modprobe loop), or "
                  "the container does not have the host's /dev");
  }
  const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return status_of_errno("find a free loop device", errno);
  return static_cast<uint32_t>(number);
}

// A container's /dev may lack what the kernel has just made.
Status make_node(uint32_t number) {
  const std::string path = loop_path(number);
  struct stat found {};
  if (stat(path.c_str(), &found) == 0 && S_ISBLK(found.st_mode)) return {};
  if (mknod(path.c_str(), S_IFBLK | 0660, makedev(7, number)) == 0 || errno == EEXIST) return {};
  return status_of_errno("make " + path, errno);
}

// errno of setting it up; EOPNOTSUPP: without direct I/O.
int configure(uint32_t number, const std::string& file, bool read_only) {
  const int mode = read_only ? O_RDONLY : O_RDWR;
  const OwnedFd backing(open(file.c_str(), mode | O_DIRECT | O_NOFOLLOW | O_CLOEXEC));
  if (!backing) return errno;
  const OwnedFd device(open(loop_path(number).c_str(), mode | O_CLOEXEC));
  if (!device) return errno;
  loop_config config{};
  config.fd = static_cast<uint32_t>(backing.get());
  config.block_size = kLogicalBlockBytes;
  config.info.lo_flags = LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0);
  if (ioctl(device.get(), LOOP_CONFIGURE, &config) != 0) return errno;
  std::ifstream direct(sysfs_file(number, "loop/dio"));
  int on = 0;
  if (direct >> on && on == 1) return 0;
  ioctl(device.get(), LOOP_CLR_FD, 0);
  return EOPNOTSUPP;
}

}  // namespace

std::string loop_path(uint32_t number) { return "/dev/loop" + std::to_string(number); }

bool is_backed_by(const LoopDevice& device, const std::string& file) {
  std::string found = device.backing_file;
  constexpr std::string_view kDeleted = " (deleted)";
  if (found.ends_with(kDeleted)) found.resize(found.size() - kDeleted.size());
  return found == file || found == file.substr(file.rfind('/'));
}

Result<LoopDevice> find_loop_device(uint32_t number) {
  std::ifstream file(sysfs_file(number, "loop/backing_file"));
  LoopDevice device{number, ""};
  if (!std::getline(file, device.backing_file)) {
    return Status(Code::kNotFound, loop_path(number) + " is not set up");
  }
  return device;
}

Result<std::vector<LoopDevice>> loop_devices() {
  std::error_code error;
  std::vector<LoopDevice> devices;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block", error)) {
    const std::string name = entry.path().filename().string();
    uint32_t number = 0;
    if (!name.starts_with("loop")) continue;
    const auto [end, wrong] = std::from_chars(name.data() + 4, name.data() + name.size(), number);
    if (wrong != std::errc() || end != name.data() + name.size()) continue;
    if (auto device = find_loop_device(number)) devices.push_back(std::move(*device));
  }
  if (error) return Status(Code::kIo, "cannot list /sys/block: " + error.message());
  return devices;
}

Result<uint32_t> attach_loop_device(const std::string& file, bool read_only,
                                    const std::function<Status(uint32_t)>& intent, uint32_t deadline_ms) {
  const std::string what = "make a loop device on " + file;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    auto number = free_number();
    if (!number) return number.status();
    SHIMA_RETURN_IF_ERROR(make_node(*number));
    SHIMA_RETURN_IF_ERROR(intent(*number));
    const auto result = run_bounded_bytes(what, deadline_ms, nullptr, 0,
                                          [&](void*) { return configure(*number, file, read_only); }, {});
    if (result && result->in_time && result->error == EBUSY) continue;
    if (result && result->in_time && result->error == EOPNOTSUPP) {
      return Status(
          Code::kFailedPrecondition,
          "cannot " + what + " with direct I/O, without which nodes would see each other's old data");
    }
    SHIMA_RETURN_IF_ERROR(bounded_status(what, deadline_ms, result));
    return *number;
  }
  return Status(Code::kUnavailable, "cannot " + what + ": others took 64 free ones first; try again");
}

Status detach_loop_device(uint32_t number, const std::string& file, bool sync, uint32_t deadline_ms) {
  const auto device = find_loop_device(number);
  if (!device || !is_backed_by(*device, file)) return {};
  const std::string path = loop_path(number);
  if (sync) {
    SHIMA_RETURN_IF_ERROR(run_bounded("write what is unwritten of " + path, deadline_ms, [&] {
      const int fd = open(path.c_str(), O_RDONLY);
      return fd >= 0 && fsync(fd) == 0 ? 0 : errno;
    }));
  }
  return run_bounded("free " + path, deadline_ms, [&] {
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0) return errno;
    return ioctl(fd, LOOP_CLR_FD, 0) == 0 || errno == ENXIO ? 0 : errno;
  });
}

Status grow_loop_device(uint32_t number, uint32_t deadline_ms) {
  const std::string path = loop_path(number);
  return run_bounded("let " + path + " grow", deadline_ms, [&] {
    const int fd = open(path.c_str(), O_RDONLY);
    return fd >= 0 && ioctl(fd, LOOP_SET_CAPACITY, 0) == 0 ? 0 : errno;
  });
}

Status drop_cached_pages(uint32_t number, uint32_t deadline_ms) {
  const std::string path = loop_path(number);
  return run_bounded("drop what is cached of " + path, deadline_ms, [&] {
    const int fd = open(path.c_str(), O_RDONLY);
    return fd >= 0 && ioctl(fd, BLKFLSBUF, 0) == 0 ? 0 : errno;
  });
}

Result<uint64_t> loop_device_bytes(uint32_t number, uint32_t deadline_ms) {
  const std::string path = loop_path(number);
  return run_bounded_for<uint64_t>("ask " + path + " for its size", deadline_ms, [&](uint64_t& bytes) {
    const int fd = open(path.c_str(), O_RDONLY);
    return fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes) == 0 ? 0 : errno;
  });
}

}  // namespace shima
