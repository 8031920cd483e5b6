#include "accessserver/fileops/file_access.h"

#include <sys/stat.h>

#include <cerrno>

#include "coreserver/jobs/jobs.h"
#include "coreserver/jobs/permission.h"

namespace shima {

namespace {

int check_regular(const FileAttributes& attributes) {
  if (attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY) return EISDIR;
  return attributes.type() == metadata::v1::FILE_TYPE_REGULAR ? 0 : EINVAL;
}

}  // namespace

int check_may_read(const FileAttributes& attributes, const metadata::v1::Credentials& credentials) {
  if (int error = check_regular(attributes)) return error;
  if (credentials.checked() || is_owner(attributes, credentials)) return 0;
  if (check_access(attributes, credentials, kMayRead) == 0) return 0;
  return check_access(attributes, credentials, kMayExecute);
}

int check_may_write(const FileAttributes& attributes, const metadata::v1::Credentials& credentials) {
  if (int error = check_regular(attributes)) return error;
  if (credentials.checked() || is_owner(attributes, credentials)) return 0;
  return check_access(attributes, credentials, kMayWrite);
}

int check_range(uint64_t offset, uint64_t length) {
  return offset > kMaxFileBytes || length > kMaxFileBytes - offset ? EFBIG : 0;
}

bool clears_set_id(const FileAttributes& attributes, const metadata::v1::Credentials& credentials) {
  return !is_privileged(credentials) && (attributes.mode() & (S_ISUID | S_ISGID)) != 0;
}

}  // namespace shima
