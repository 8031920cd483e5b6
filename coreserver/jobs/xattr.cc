// Extended attributes: xattr(7). Name spaces user, trusted and security; system (ACLs) is not offered.
#include <sys/stat.h>

#include <cerrno>

#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {
namespace {

constexpr char kVersion = 1;
constexpr uint64_t kMaxXattrNameBytes = 255;
constexpr uint64_t kMaxNamesBytes = 65536;  // of an inode: what listxattr(2) can return (XATTR_LIST_MAX)
constexpr uint64_t kMaxInodeXattrBytes = 1 << 20;  // of an inode, names and values: a scan stays short

bool in_name_space(std::string_view name, std::string_view space) {
  return name.size() > space.size() && name.starts_with(space);
}

int check_xattr_name(JobRun& run, std::string_view name) {
  if (name.empty() || name.size() > kMaxXattrNameBytes) return run.fail(ERANGE, "a name is 1 to 255 bytes");
  if (name.find('\0') != std::string_view::npos) return run.fail(EINVAL, "the name has a NUL");
  if (in_name_space(name, "user.") || in_name_space(name, "trusted.") || in_name_space(name, "security."))
    return 0;
  return run.fail(EOPNOTSUPP, "names begin with user., trusted. or security.");
}

bool may_have_user_xattrs(const StoredInode& inode) { return inode.is_regular() || inode.is_directory(); }

int check_may_read(JobRun& run, const StoredInode& inode, std::string_view name) {
  if (run.who.checked()) return 0;
  if (in_name_space(name, "trusted.") && run.who.uid() != 0) return run.fail(ENODATA, "only root sees these");
  if (!in_name_space(name, "user.")) return 0;
  if (!may_have_user_xattrs(inode))
    return run.fail(ENODATA, "only files and directories have user attributes");
  const int error = check_access(inode.attributes, run.who, kMayRead);
  return error ? run.fail(error, "no permission to read the file") : 0;
}

int check_may_write(JobRun& run, const StoredInode& inode, std::string_view name) {
  if (run.who.checked()) return 0;
  if (!in_name_space(name, "user.")) {
    return run.who.uid() == 0 ? 0 : run.fail(EPERM, "only root may set these");
  }
  if (!may_have_user_xattrs(inode)) return run.fail(EPERM, "only files and directories have user attributes");
  const bool sticky = inode.is_directory() && (inode.attributes.mode() & S_ISVTX);
  if (sticky && !is_owner(inode.attributes, run.who)) return run.fail(EPERM, "the directory is sticky");
  const int error = check_access(inode.attributes, run.who, kMayWrite);
  return error ? run.fail(error, "no permission to write to the file") : 0;
}

// The value, without the version byte under which it is kept.
std::optional<std::string> load(JobRun& run, uint64_t inode, std::string_view name) {
  std::optional<std::string> value = run.inodes.before().get(xattr_key(inode, name));
  if (!value) return std::nullopt;
  if (!value->starts_with(kVersion)) {
    run.inodes.found_rot();
    return std::nullopt;
  }
  return value->substr(1);
}

int check_room(JobRun& run, const StoredInode& inode, const metadata::v1::SetXattr& job,
               const std::optional<std::string>& old) {
  const uint64_t names = inode.xattr_name_bytes + (old ? 0 : job.name().size() + 1);
  const uint64_t all = inode.xattr_bytes + (old ? 0 : job.name().size()) + job.value().size();
  const bool fits = names <= kMaxNamesBytes && all - (old ? old->size() : 0) <= kMaxInodeXattrBytes;
  return fits ? 0 : run.fail(ENOSPC, "the file has as many extended attributes as it can");
}

}  // namespace

int run_get_xattr(JobRun& run, const metadata::v1::GetXattr& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  if (int error = check_xattr_name(run, job.name())) return error;
  if (int error = check_may_read(run, *inode, job.name())) return error;
  std::optional<std::string> value = load(run, job.inode(), job.name());
  if (!value) return run.fail(ENODATA, "there is no extended attribute of this name");
  run.reply.set_data(*std::move(value));
  return 0;
}

int run_list_xattrs(JobRun& run, const metadata::v1::ListXattrs& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  if (inode->xattr_name_bytes == 0) return 0;
  const std::string prefix = xattr_prefix(job.inode());
  run.inodes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    const std::string_view name = key.substr(prefix.size());
    const bool visible = run.who.checked() || run.who.uid() == 0 || !in_name_space(name, "trusted.");
    if (visible) run.reply.add_names(name.data(), name.size());
    return true;
  });
  return 0;
}

int run_set_xattr(JobRun& run, const metadata::v1::SetXattr& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  if (int error = check_xattr_name(run, job.name())) return error;
  if (job.value().size() > kMaxXattrBytes) return run.fail(E2BIG, "a value has at most 65536 bytes");
  if (int error = check_may_write(run, *inode, job.name())) return error;
  const std::optional<std::string> old = load(run, job.inode(), job.name());
  if (old && job.create()) return run.fail(EEXIST, "there is an extended attribute of this name");
  if (!old && job.replace()) return run.fail(ENODATA, "there is no extended attribute of this name");
  if (int error = check_room(run, *inode, job, old)) return error;
  const uint64_t name_bytes = old ? 0 : job.name().size();
  inode->xattr_name_bytes += static_cast<uint32_t>(old ? 0 : name_bytes + 1);
  inode->xattr_bytes += static_cast<uint32_t>(name_bytes + job.value().size() - (old ? old->size() : 0));
  run.inodes.writes().put(xattr_key(job.inode(), job.name()), kVersion + job.value());
  note_change(run, *inode);
  *run.reply.mutable_attributes() = inode->attributes;
  return 0;
}

int run_remove_xattr(JobRun& run, const metadata::v1::RemoveXattr& job) {
  StoredInode* inode = nullptr;
  if (int error = find_inode(run, job.inode(), inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  if (int error = check_xattr_name(run, job.name())) return error;
  if (int error = check_may_write(run, *inode, job.name())) return error;
  const std::optional<std::string> old = load(run, job.inode(), job.name());
  if (!old) return run.fail(ENODATA, "there is no extended attribute of this name");
  inode->xattr_name_bytes -= static_cast<uint32_t>(job.name().size() + 1);
  inode->xattr_bytes -= static_cast<uint32_t>(job.name().size() + old->size());
  run.inodes.writes().erase(xattr_key(job.inode(), job.name()));
  note_change(run, *inode);
  *run.reply.mutable_attributes() = inode->attributes;
  return 0;
}

}  // namespace shima
