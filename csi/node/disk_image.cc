#include "csi/node/disk_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "csi/host/bounded_call.h"

namespace shima {
namespace {

int grow_under_lock(int file, uint64_t size_bytes) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (fcntl(file, F_OFD_SETLKW, &lock) != 0) return errno;
  struct stat found {};
  if (fstat(file, &found) != 0) return errno;  // within the lock: another node may just have made it longer
  if (static_cast<uint64_t>(found.st_size) >= size_bytes) return 0;
  return ftruncate(file, static_cast<off_t>(size_bytes)) == 0 && fsync(file) == 0 ? 0 : errno;
}

}  // namespace

std::string disk_image_path(const std::string& mount_path) { return mount_path + "/disk.img"; }

Status ensure_disk_image(const std::string& mount_path, uint64_t size_bytes, bool read_only,
                         uint32_t deadline_ms) {
  const std::string path = disk_image_path(mount_path);
  if (size_bytes == 0 || size_bytes % 512 != 0) {
    return {Code::kFailedPrecondition,
            "a raw block volume needs a size that is a multiple of 512 bytes, not " +
                std::to_string(size_bytes) + "; set one: shimactl volume set-size"};
  }
  const Status status = run_bounded("make " + path, deadline_ms, [&] {
    const int mode = read_only ? O_RDONLY : O_RDWR | O_CREAT;
    const int file = open(path.c_str(), mode | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat found {};
    if (file < 0 || fstat(file, &found) != 0) return errno;
    if (!S_ISREG(found.st_mode)) return EINVAL;
    return read_only ? 0 : grow_under_lock(file, size_bytes);
  });
  if (read_only && status.code() == Code::kNotFound) {
    return {Code::kFailedPrecondition,
            "the volume has no disk.img yet; stage it once for writing, which makes it"};
  }
  return status;
}

}  // namespace shima
