#include "csi/host/absolute_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace shima {
namespace {

constexpr size_t kShownBytes = 200;  // of a hostile path in an error

std::string shown(std::string_view path) {
  std::string text(path.substr(0, kShownBytes));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  }
  return "\"" + text + (path.size() > kShownBytes ? "...\"" : "\"");
}

Status refuse(std::string_view what, std::string_view path, const std::string& wanted) {
  return {Code::kInvalidArgument, std::string(what) + ": found " + shown(path) + ", wanted " + wanted};
}

bool has_bad_component(std::string_view path) {
  size_t begin = 1;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

Status check_normalized_path(std::string_view what, std::string_view path) {
  if (path.empty()) return {Code::kInvalidArgument, std::string(what) + " is missing: give an absolute path"};
  if (path.size() > kMaxPathBytes) {
    return refuse(what, path, "at most 4096 bytes, not " + std::to_string(path.size()));
  }
  if (path.front() != '/') return refuse(what, path, "an absolute path");
  const bool control = std::any_of(path.begin(), path.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
  if (control) return refuse(what, path, "a path without control characters");
  if (path.size() < 2 || has_bad_component(path)) {
    return refuse(what, path, "a path without empty parts, \".\", \"..\" and a slash at its end");
  }
  return {};
}

bool is_below(std::string_view path, std::string_view root) {
  return path.size() > root.size() + 1 && path.substr(0, root.size()) == root && path[root.size()] == '/';
}

Status check_path_below(std::string_view what, std::string_view path, const std::vector<std::string>& roots) {
  SHIMA_RETURN_IF_ERROR(check_normalized_path(what, path));
  std::string wanted;
  for (const std::string& root : roots) {
    if (is_below(path, root)) return {};
    wanted += (wanted.empty() ? "" : " or ") + root;
  }
  return refuse(what, path, "a path below " + wanted + " (see --publish-root)");
}

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

int OwnedFd::release() { return std::exchange(fd_, -1); }

Result<OwnedFd> open_parent(std::string_view what, const std::string& path) {
  SHIMA_RETURN_IF_ERROR(check_normalized_path(what, path));
  const std::string parent = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const int fd = static_cast<int>(syscall(SYS_openat2, AT_FDCWD, parent.c_str(), &how, sizeof(how)));
  if (fd >= 0) return OwnedFd(fd);
  if (errno == ENOENT) {
    return Status(Code::kNotFound, std::string(what) + ": there is no directory " + shown(parent));
  }
  if (errno == ELOOP) return refuse(what, path, "a path without symbolic links");
  if (errno == ENOTDIR) return refuse(what, path, "a path whose parent is a directory");
  return Status(Code::kIo, std::string(what) + ": cannot open " + shown(parent) + ": " + strerror(errno));
}

std::string last_component(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace shima
