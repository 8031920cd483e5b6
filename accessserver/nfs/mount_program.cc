#include "accessserver/nfs/mount_program.h"

#include <algorithm>

#include "accessserver/nfs/nfs3_call.h"

namespace shima {
namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

enum Procedure : uint32_t { kNull = 0, kMount = 1, kDump = 2, kUnmount = 3, kUnmountAll = 4, kExport = 5 };

constexpr size_t kMaxPathBytes = 1024;  // MNTPATHLEN
constexpr uint64_t kRootInode = 2;
constexpr uint32_t kAuthSys = 1;

// The names of a path; "." and empty ones (doubled slashes) are left out.
std::vector<std::string> names_of(const std::string& path) {
  std::vector<std::string> names;
  for (size_t at = 0; at <= path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string name = path.substr(at, end - at);
    if (!name.empty() && name != ".") names.push_back(std::move(name));
    at = end + 1;
  }
  return names;
}

NfsStatus check_path(const std::string& path, const std::vector<std::string>& names) {
  if (path.empty() || path[0] != '/' || names.empty()) return NfsStatus::kNoEntry;
  for (const std::string& name : names) {
    if (name == "..") return NfsStatus::kAccess;
    NfsStatus status = check_name(name);
    if (status != NfsStatus::kOk) return status;
  }
  return NfsStatus::kOk;
}

}  // namespace

void MountList::add(const std::string& client, const std::string& path) {
  std::lock_guard lock(mutex_);
  if (mounts_.size() < kMax) mounts_.emplace(client, path);
}

void MountList::remove(const std::string& client, const std::string& path) {
  std::lock_guard lock(mutex_);
  mounts_.erase({client, path});
}

void MountList::remove_all(const std::string& client) {
  std::lock_guard lock(mutex_);
  std::erase_if(mounts_, [&](const auto& mount) { return mount.first == client; });
}

std::set<std::pair<std::string, std::string>> MountList::all() const {
  std::lock_guard lock(mutex_);
  return mounts_;
}

// A MNT on its way.
struct MountProgram::Mounting {
  RpcRequestPtr request;
  std::string path;
  std::vector<std::string> names;  // the volume's first
  FileSystem* volume = nullptr;    // kept by the request
};

void MountProgram::call(RpcRequestPtr request) {
  uint32_t procedure = request->call().procedure;
  counters_.requests[procedure].fetch_add(1, std::memory_order_relaxed);
  std::string path;
  if (procedure == kMount || procedure == kUnmount) path = request->arguments().string(kMaxPathBytes);
  if (!request->arguments().good()) {
    return RpcRequest::fail(std::move(request), RpcAcceptStatus::kGarbageArguments);
  }
  switch (procedure) {
    case kMount:
      return mount(std::move(request), path);
    case kDump:
      return dump(std::move(request));
    case kExport:
      return list_exports(std::move(request));
    case kUnmount:
      mounts_.remove(request->client(), path);
      break;
    case kUnmountAll:
      mounts_.remove_all(request->client());
      break;
    default:
      break;
  }
  RpcRequest::reply(std::move(request), {});
}

void MountProgram::mount(RpcRequestPtr request, const std::string& path) {
  auto mounting = std::make_shared<Mounting>();
  mounting->request = std::move(request);
  mounting->path = path;
  mounting->names = names_of(path);
  NfsStatus status = check_path(path, mounting->names);
  if (status != NfsStatus::kOk) return answer(std::move(mounting), status, 0);
  const std::string& name = mounting->names[0];
  const Access access = exports_.access(name, mounting->request->client());
  if (access.try_later) return answer(std::move(mounting), NfsStatus::kServerFault, 0);
  if (!access.allowed) return refuse_unknown_or_forbidden(std::move(mounting));
  exports_.by_name(name, [this, mounting](Result<std::shared_ptr<FileSystem>> opened) mutable {
    if (!opened) return answer(std::move(mounting), nfs_status_of(opened.status()), 0);
    // Who may use it may be known only now that it is open.
    const Access known = exports_.access(mounting->names[0], mounting->request->client());
    if (!known.allowed) {
      const NfsStatus refused = known.try_later ? NfsStatus::kServerFault : NfsStatus::kAccess;
      return answer(std::move(mounting), refused, 0);
    }
    mounting->volume = opened->get();
    mounting->request->keep(std::move(*opened));
    walk(std::move(mounting), kRootInode, 1);
  });
}

// Nobody who may not use a volume makes the server open it.
void MountProgram::refuse_unknown_or_forbidden(MountingPtr mounting) {
  exports_.list([this, mounting](Result<std::vector<std::string>> names) mutable {
    bool known = !names || std::find(names->begin(), names->end(), mounting->names[0]) != names->end();
    answer(std::move(mounting), known ? NfsStatus::kAccess : NfsStatus::kNoEntry, 0);
  });
}

// `inode` is the directory that names[0, next) lead to. As root: who mounts is root, and each NFS call is
// checked.
void MountProgram::walk(MountingPtr mounting, uint64_t inode, size_t next) {
  if (next == mounting->names.size()) return answer(std::move(mounting), NfsStatus::kOk, inode);
  JobRequest job;
  job.mutable_lookup()->set_parent(inode);
  job.mutable_lookup()->set_name(mounting->names[next]);
  FileSystem& volume = *mounting->volume;
  volume.run(std::move(job), [this, mounting = std::move(mounting), next](const JobReply& reply) mutable {
    step(std::move(mounting), next, reply);
  });
}

void MountProgram::step(MountingPtr mounting, size_t next, const JobReply& reply) {
  if (reply.error()) return answer(std::move(mounting), nfs_status_of_errno(reply.error()), 0);
  if (reply.attributes().type() != metadata::v1::FILE_TYPE_DIRECTORY) {
    return answer(std::move(mounting), NfsStatus::kNotDirectory, 0);
  }
  walk(std::move(mounting), reply.attributes().inode(), next + 1);
}

void MountProgram::answer(MountingPtr mounting, NfsStatus status, uint64_t inode) {
  status = mount_status_of(status);
  XdrWriter out;
  out.u32(static_cast<uint32_t>(status));
  if (status == NfsStatus::kOk) {
    mounts_.add(mounting->request->client(), mounting->path);
    NfsHandle handle;
    handle.volume = mounting->volume->volume_id();
    handle.inode = inode;
    handle.life = mounting->volume->life();
    if (version_ == 1) {
      out.fixed(handle.encode());
    } else {
      out.opaque(handle.encode());
      out.u32(1);  // flavours that may be used
      out.u32(kAuthSys);
    }
  } else {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
  }
  RpcRequest::reply(std::move(mounting->request), std::move(out));
  mounting.reset();
}

void MountProgram::dump(RpcRequestPtr request) {
  XdrWriter out;
  for (const auto& [client, path] : mounts_.all()) {
    out.boolean(true);
    out.opaque(client);
    out.opaque(path);
  }
  out.boolean(false);
  RpcRequest::reply(std::move(request), std::move(out));
}

// The volumes that the client may use; each without groups, which means: for everybody who sees it.
void MountProgram::list_exports(RpcRequestPtr request) {
  exports_.list([this, request = std::move(request)](const Result<std::vector<std::string>>& names) mutable {
    if (!names) return RpcRequest::fail(std::move(request), RpcAcceptStatus::kSystemError);
    XdrWriter out;
    for (const std::string& name : *names) {
      if (!exports_.access(name, request->client()).allowed) continue;
      out.boolean(true);
      out.opaque("/" + name);
      out.boolean(false);
    }
    out.boolean(false);
    RpcRequest::reply(std::move(request), std::move(out));
  });
}

}  // namespace shima
