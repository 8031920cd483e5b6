#include "csi/mounter/fuse_connection.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <mutex>

#include "csi/host/absolute_path.h"
#include "csi/host/bounded_call.h"
#include "csi/host/mount_table.h"

namespace shima {
namespace {

constexpr char kFolder[] = "/sys/fs/fuse/connections";

Status ensure_control_file_system() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  const auto table = read_mount_table();
  if (!table) return table.status();
  if (table->at(kFolder) != nullptr) return {};
  if (::mount("none", kFolder, "fusectl", 0, nullptr) == 0 || errno == EBUSY) return {};
  return status_of_errno(std::string("mount fusectl at ") + kFolder, errno);
}

std::string file_of(uint32_t connection, const char* name) {
  return std::string(kFolder) + "/" + std::to_string(connection) + "/" + name;
}

}  // namespace

Status abort_fuse_connection(uint32_t connection) {
  SHIMA_RETURN_IF_ERROR(ensure_control_file_system());
  const std::string path = file_of(connection, "abort");
  const OwnedFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT ? Status::ok() : status_of_errno("open " + path, errno);
  if (write(file.get(), "1", 1) == 1 || errno == ENODEV) return {};
  return status_of_errno("write to " + path, errno);
}

std::optional<uint64_t> waiting_fuse_requests(uint32_t connection) {
  if (!ensure_control_file_system()) return std::nullopt;
  std::ifstream file(file_of(connection, "waiting"));
  uint64_t waiting = 0;
  if (!(file >> waiting)) return std::nullopt;
  return waiting;
}

}  // namespace shima
