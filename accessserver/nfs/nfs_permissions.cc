#include "accessserver/nfs/nfs_permissions.h"

#include <algorithm>

namespace shima {
namespace {

constexpr uint32_t kRead = 4, kWrite = 2, kExecute = 1;

// rwx that the caller has, as POSIX.1 section 4.5 says.
uint32_t mode_for(const FileAttributes& file, const metadata::v1::Credentials& caller) {
  bool directory = file.type() == metadata::v1::FILE_TYPE_DIRECTORY;
  if (caller.uid() == 0) {
    bool executable = directory || (file.mode() & 0111) != 0;
    return kRead | kWrite | (executable ? kExecute : 0);
  }
  if (caller.uid() == file.uid()) return file.mode() >> 6 & 7;
  const auto& groups = caller.groups();
  bool member =
      caller.gid() == file.gid() || std::find(groups.begin(), groups.end(), file.gid()) != groups.end();
  return member ? file.mode() >> 3 & 7 : file.mode() & 7;
}

}  // namespace

metadata::v1::Credentials credentials_of(const RpcCredentials& caller, const Access& access) {
  metadata::v1::Credentials credentials;
  if (caller.flavor == RpcAuthFlavor::kNone || access.squash == Squash::kAll) {
    credentials.set_uid(access.anonymous_uid);
    credentials.set_gid(access.anonymous_gid);
    return credentials;
  }
  bool squash_root = access.squash == Squash::kRoot;
  bool is_root = squash_root && caller.uid == 0;
  auto group = [&](uint32_t gid) { return squash_root && gid == 0 ? access.anonymous_gid : gid; };
  credentials.set_uid(is_root ? access.anonymous_uid : caller.uid);
  credentials.set_gid(is_root ? access.anonymous_gid : group(caller.gid));
  for (uint32_t gid : caller.groups()) credentials.add_groups(group(gid));
  return credentials;
}

uint32_t allowed_access(const FileAttributes& file, const metadata::v1::Credentials& caller, bool read_only,
                        uint32_t wanted) {
  uint32_t mode = mode_for(file, caller), allowed = 0;
  bool writable = (mode & kWrite) != 0 && !read_only;
  if (mode & kRead) allowed |= kAccessRead;
  if (file.type() == metadata::v1::FILE_TYPE_DIRECTORY) {
    bool searchable = (mode & kExecute) != 0;
    if (searchable) allowed |= kAccessLookup;
    if (searchable && writable) allowed |= kAccessModify | kAccessExtend | kAccessDelete;
  } else {
    if (mode & kExecute) allowed |= kAccessExecute;
    if (writable) allowed |= kAccessModify | kAccessExtend;
  }
  return allowed & wanted;
}

}  // namespace shima
