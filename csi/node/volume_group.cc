#include "csi/node/volume_group.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "csi/host/bounded_call.h"

namespace shima {
namespace {

constexpr int kDeepest = 256;  // directories in each other; deeper ones keep their group

mode_t mode_for_group(mode_t mode) {
  const mode_t bits = mode & 07777;
  if (S_ISDIR(mode)) return bits | S_IRGRP | S_IWGRP | S_IXGRP | S_ISGID;
  return bits | S_IRGRP | S_IWGRP | ((bits & S_IXUSR) != 0 ? S_IXGRP : 0);
}

bool has_group(const struct stat& found, uint32_t group) {
  return found.st_gid == group && (found.st_mode & 07777) == mode_for_group(found.st_mode);
}

// Of what the descriptor (O_PATH) is on, never of what its name leads to by then: users of the volume may put
// a symbolic link there meanwhile, and we are root. errno.
int give_file(int file, uint32_t group) {
  struct stat found {};
  if (fstat(file, &found) != 0) return errno;
  if (found.st_gid != group && fchownat(file, "", static_cast<uid_t>(-1), group, AT_EMPTY_PATH) != 0)
    return errno;
  // A symbolic link has no mode, and another kind of file is nobody's data.
  if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  return chmod(path.c_str(), mode_for_group(found.st_mode)) == 0 ? 0 : errno;
}

// A file that goes meanwhile is no error.
int give(int folder, const char* name, uint32_t group) {
  const int file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? 0 : errno;
  const int error = give_file(file, group);
  close(file);
  return error == ENOENT ? 0 : error;
}

// Takes the descriptor over.
int give_content(int folder, uint32_t group, int depth) {
  DIR* listing = fdopendir(folder);
  if (listing == nullptr) return errno;
  int error = 0;
  while (error == 0) {
    errno = 0;
    const dirent* entry = readdir(listing);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const int below = depth >= kDeepest
                          ? -1
                          : openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) error = give_content(below, group, depth + 1);
    if (error == 0) error = give(folder, entry->d_name, group);
  }
  closedir(listing);
  return error;
}

int give_all(const std::string& root, uint32_t group) {
  const int folder = open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat found {};
  if (folder < 0 || fstat(folder, &found) != 0) return errno;
  if (has_group(found, group)) return 0;
  const int content = dup(folder);
  if (content < 0) return errno;
  const int error = give_content(content, group, 0);
  return error != 0 ? error : give_file(folder, group);
}

}  // namespace

Result<uint32_t> parse_group(const std::string& text) {
  uint32_t group = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), group);
  if (error == std::errc() && end == text.data() + text.size() && group != UINT32_MAX) return group;
  return Status(Code::kInvalidArgument, "volume_mount_group: found \"" + text.substr(0, 64) +
                                            "\", wanted the number of a group, as in 107");
}

Status give_volume_to_group(const std::string& root, uint32_t group, uint32_t deadline_ms) {
  return run_bounded("give the files at " + root + " to group " + std::to_string(group), deadline_ms,
                     [&] { return give_all(root, group); });
}

}  // namespace shima
