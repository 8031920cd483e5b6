#include "coreserver/jobs/permission.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace shima {

using metadata::v1::Attributes;
using metadata::v1::Credentials;

int check_access(const Attributes& attributes, const Credentials& credentials, int rwx_mask) {
  if (credentials.checked()) return 0;
  const uint32_t mode = attributes.mode();
  if (credentials.uid() == 0) {
    const bool executable = attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY || (mode & 0111) != 0;
    return (rwx_mask & kMayExecute) && !executable ? EACCES : 0;
  }
  // The first class that fits decides, even if a later one would allow more.
  uint32_t allowed = mode;
  if (credentials.uid() == attributes.uid()) {
    allowed = mode >> 6;
  } else if (is_in_group(credentials, attributes.gid())) {
    allowed = mode >> 3;
  }
  return (static_cast<uint32_t>(rwx_mask) & ~allowed & 7) ? EACCES : 0;
}

bool is_privileged(const Credentials& credentials) { return credentials.checked() || credentials.uid() == 0; }

bool is_owner(const Attributes& attributes, const Credentials& credentials) {
  return is_privileged(credentials) || credentials.uid() == attributes.uid();
}

bool is_in_group(const Credentials& credentials, uint32_t gid) {
  return credentials.gid() == gid ||
         std::ranges::find(credentials.groups(), gid) != credentials.groups().end();
}

int check_sticky(const Attributes& directory, const Attributes& victim, const Credentials& credentials) {
  if (!(directory.mode() & S_ISVTX) || is_owner(victim, credentials) || is_owner(directory, credentials))
    return 0;
  return EPERM;
}

uint32_t without_set_id(const Attributes& attributes, const Credentials& credentials) {
  uint32_t mode = attributes.mode() & ~static_cast<uint32_t>(S_ISUID);
  const bool keeps_group = is_privileged(credentials) || is_in_group(credentials, attributes.gid());
  if ((mode & S_IXGRP) || !keeps_group) mode &= ~static_cast<uint32_t>(S_ISGID);
  return mode;
}

}  // namespace shima
