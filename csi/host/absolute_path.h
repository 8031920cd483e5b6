// Paths that a container orchestrator names: checked before anything is done with them.
//
// A path is good if it is absolute, at most 4096 bytes (CSI 1.12, "Size Limits"), normalized (no "//", ".",
// ".." or trailing "/"), without control characters, and lies below a root. The machine's own check on top:
// no component of it is a symbolic link, so that nobody can lead us elsewhere.
// Errors: kInvalidArgument says what was found and what is wanted. Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"

namespace shima {

inline constexpr size_t kMaxPathBytes = 4096;

// PURE. `what` names the field in errors: "staging_target_path".
Status check_normalized_path(std::string_view what, std::string_view path);

// PURE. Both normalized; a root is not below itself.
bool is_below(std::string_view path, std::string_view root);

// PURE. check_normalized_path, and below one of the roots.
Status check_path_below(std::string_view what, std::string_view path, const std::vector<std::string>& roots);

// A descriptor that is closed with its owner; -1: none.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();

 private:
  int fd_;
};

// Opens the directory that holds `path` (openat2, RESOLVE_NO_SYMLINKS): nothing below a mount point that may
// hang is touched. kNotFound: it is not there; kInvalidArgument: a symbolic link is in the way, or it is no
// directory.
Result<OwnedFd> open_parent(std::string_view what, const std::string& path);

// The part behind the last slash.
std::string last_component(const std::string& path);

}  // namespace shima
