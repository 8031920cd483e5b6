#include "csi/host/state_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "common/runtime/clock.h"
#include "csi/host/bounded_call.h"

namespace shima {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr std::string_view kHalfWritten = ".new";

Status write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return status_of_errno("write " + path, errno);
    text.remove_prefix(static_cast<size_t>(count));
  }
  return fsync(fd) == 0 ? Status::ok() : status_of_errno("sync " + path, errno);
}

Status sync_folder(const std::string& path) {
  const OwnedFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || fsync(folder.get()) != 0) return status_of_errno("sync folder " + path, errno);
  return {};
}

}  // namespace

Status make_folders(const std::string& path, unsigned mode) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return status_of_errno("make folder " + part, errno);
    if (end == std::string::npos) return {};
  }
}

Result<StateFolder> StateFolder::open(const std::string& path) {
  SHIMA_RETURN_IF_ERROR(make_folders(path, 0700));
  return StateFolder(path);
}

Status StateFolder::write(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name, half = path + std::string(kHalfWritten);
  OwnedFd file(::open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return status_of_errno("make " + half, errno);
  SHIMA_RETURN_IF_ERROR(write_all(file.get(), text, half));
  if (rename(half.c_str(), path.c_str()) != 0) return status_of_errno("rename " + half, errno);
  return sync_folder(path_);
}

Result<std::string> StateFolder::read(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return status_of_errno("open " + path, errno);
  std::string text(kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return status_of_errno("read " + path, errno);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > kMaxFileBytes) return Status(Code::kCorrupt, path + " has more than 1 MiB: it is not ours");
  text.resize(size);
  return text;
}

Status StateFolder::remove(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  if (unlink(path.c_str()) != 0)
    return errno == ENOENT ? Status::ok() : status_of_errno("remove " + path, errno);
  return sync_folder(path_);
}

Result<std::vector<std::string>> StateFolder::list(std::string_view suffix) const {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(suffix)) names.push_back(name);
  }
  if (error) return Status(Code::kIo, "cannot list " + path_ + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

Status StateFolder::remove_half_written() const {
  const auto names = list(kHalfWritten);
  if (!names) return names.status();
  for (const std::string& name : *names) SHIMA_RETURN_IF_ERROR(remove(name));
  return {};
}

Result<OwnedFd> lock_folder(const std::string& folder, const std::string& name, uint32_t wait_ms) {
  const std::string path = folder + "/" + name;
  OwnedFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return status_of_errno("open " + path, errno);
  const uint64_t until = real_clock().now_ms() + wait_ms;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return status_of_errno("lock " + path, errno);
    if (real_clock().now_ms() >= until) {
      return Status(Code::kFailedPrecondition,
                    "another process works in " + folder + "; end it, or give another --state-dir");
    }
    usleep(20'000);
  }
  return file;
}

}  // namespace shima
