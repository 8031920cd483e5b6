#include "coreserver/driver/file_system_identity.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace shima {

Result<std::string> file_system_identity(const std::string& directory) {
  constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
  std::string boot_id;
  std::ifstream file(kBootId);
  if (!std::getline(file, boot_id) || boot_id.empty())
    return Status(Code::kIo, std::string("cannot read ") + kBootId);
  struct stat st {};
  if (::stat(directory.c_str(), &st) != 0)
    return Status(Code::kIo, "cannot look at " + directory + ": " + std::strerror(errno));
  return boot_id + ":" + std::to_string(major(st.st_dev)) + ":" + std::to_string(minor(st.st_dev));
}

}  // namespace shima
