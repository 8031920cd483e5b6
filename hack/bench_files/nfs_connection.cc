#include "hack/bench_files/nfs_connection.h"

#include <poll.h>

namespace shima {
namespace {

constexpr int kSilenceMs = 30'000;

// What a call of a preparation left; one at a time.
struct Answer {
  bool done = false;
  Status status;
  NfsConnection::Handle handle;
  uint64_t size = 0;
};

void take_handle(Answer& answer, const post_op_fh3& handle, const std::string& what) {
  if (!handle.handle_follows) {
    answer.status = {Code::kInternal, what + ": the server gave no handle"};
    return;
  }
  const auto& data = handle.post_op_fh3_u.handle.data;
  answer.handle.assign(data.data_val, data.data_len);
}

void connected(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  if (status != RPC_STATUS_SUCCESS) answer.status = nfs_error("connecting", status, data, 0);
}

void mounted(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  const auto* result = static_cast<mountres3*>(data);
  if (status != RPC_STATUS_SUCCESS || result->fhs_status != MNT3_OK) {
    answer.status = nfs_error("MNT", status, data, status == RPC_STATUS_SUCCESS ? result->fhs_status : 0);
    return;
  }
  const auto& handle = result->mountres3_u.mountinfo.fhandle;
  answer.handle.assign(handle.fhandle3_val, handle.fhandle3_len);
}

void looked_up(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  const auto* result = static_cast<LOOKUP3res*>(data);
  if (status != RPC_STATUS_SUCCESS || result->status != NFS3_OK) {
    answer.status = nfs_error("LOOKUP", status, data, status == RPC_STATUS_SUCCESS ? result->status : 0);
    return;
  }
  const auto& handle = result->LOOKUP3res_u.resok.object.data;
  answer.handle.assign(handle.data_val, handle.data_len);
}

void made_directory(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  const auto* result = static_cast<MKDIR3res*>(data);
  if (status != RPC_STATUS_SUCCESS || result->status != NFS3_OK) {
    answer.status = nfs_error("MKDIR", status, data, status == RPC_STATUS_SUCCESS ? result->status : 0);
    return;
  }
  take_handle(answer, result->MKDIR3res_u.resok.obj, "MKDIR");
}

void made_file(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  const auto* result = static_cast<CREATE3res*>(data);
  if (status != RPC_STATUS_SUCCESS || result->status != NFS3_OK) {
    answer.status = nfs_error("CREATE", status, data, status == RPC_STATUS_SUCCESS ? result->status : 0);
    return;
  }
  take_handle(answer, result->CREATE3res_u.resok.obj, "CREATE");
}

void removed(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  const auto* result = static_cast<RMDIR3res*>(data);
  if (status != RPC_STATUS_SUCCESS || result->status != NFS3_OK) {
    answer.status = nfs_error("RMDIR", status, data, status == RPC_STATUS_SUCCESS ? result->status : 0);
  }
}

void got_attributes(rpc_context*, int status, void* data, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  const auto* result = static_cast<GETATTR3res*>(data);
  if (status != RPC_STATUS_SUCCESS || result->status != NFS3_OK) {
    answer.status = nfs_error("GETATTR", status, data, status == RPC_STATUS_SUCCESS ? result->status : 0);
    return;
  }
  answer.size = result->GETATTR3res_u.resok.obj_attributes.size;
}

Result<Answer> wait_for(NfsConnection& connection, int queued, Answer& answer, const std::string& what) {
  if (queued != 0)
    return Status(Code::kInternal, what + " cannot be queued: " + rpc_get_error(connection.rpc()));
  SHIMA_RETURN_IF_ERROR(connection.run_until([&] { return answer.done; }));
  if (!answer.status.is_ok()) return answer.status;
  return answer;
}

}  // namespace

Status nfs_error(const std::string& what, int rpc_status, const void* data, int nfs_status) {
  std::string text = what + " failed: ";
  if (rpc_status == RPC_STATUS_ERROR && data != nullptr) {
    text += static_cast<const char*>(data);
  } else if (rpc_status != RPC_STATUS_SUCCESS) {
    text += "the call was given up (libnfs status " + std::to_string(rpc_status) + ")";
  } else {
    text += "the server said " + std::to_string(nfs_status);
  }
  return {Code::kInternal, text};
}

Result<std::unique_ptr<NfsConnection>> NfsConnection::open(const NfsAddress& address) {
  std::unique_ptr<NfsConnection> connection(new NfsConnection);
  SHIMA_RETURN_IF_ERROR(connection->connect(address.host, address.mount_port, MOUNT_PROGRAM, MOUNT_V3));
  std::string path = address.export_path;
  Answer answer;
  const int queued = rpc_mount3_mnt_async(connection->rpc_, mounted, path.data(), &answer);
  auto mount = wait_for(*connection, queued, answer, "MNT");
  if (!mount.is_ok()) return mount.status();
  connection->root_ = mount->handle;
  rpc_destroy_context(connection->rpc_);
  connection->rpc_ = nullptr;
  SHIMA_RETURN_IF_ERROR(connection->connect(address.host, address.port, NFS_PROGRAM, NFS_V3));
  return connection;
}

NfsConnection::~NfsConnection() {
  if (rpc_ != nullptr) rpc_destroy_context(rpc_);
}

Status NfsConnection::connect(const std::string& host, int port, int program, int version) {
  rpc_ = rpc_init_context();
  if (rpc_ == nullptr) return {Code::kInternal, "libnfs has no memory for a connection"};
  Answer answer;
  const int queued = rpc_connect_port_async(rpc_, host.c_str(), port, program, version, connected, &answer);
  return wait_for(*this, queued, answer, "a connection").status();
}

Status NfsConnection::run_until(const std::function<bool()>& done) {
  while (!done()) {
    pollfd waiting{};
    waiting.fd = rpc_get_fd(rpc_);
    waiting.events = static_cast<short>(rpc_which_events(rpc_));
    const int ready = poll(&waiting, 1, kSilenceMs);
    if (ready == 0) return {Code::kUnavailable, "the NFS server said nothing for 30 s"};
    if (ready < 0) continue;  // EINTR
    if (rpc_service(rpc_, waiting.revents) < 0) {
      return {Code::kUnavailable,
              std::string("the connection to the NFS server broke: ") + rpc_get_error(rpc_)};
    }
  }
  return {};
}

Result<NfsConnection::Handle> NfsConnection::make_directory(const Handle& parent, const std::string& name) {
  MKDIR3args arguments{};
  arguments.where.dir = nfs_handle(parent);
  arguments.where.name = const_cast<char*>(name.c_str());
  arguments.attributes.mode.set_it = 1;
  arguments.attributes.mode.set_mode3_u.mode = 0755;
  Answer answer;
  auto made =
      wait_for(*this, rpc_nfs3_mkdir_async(rpc_, made_directory, &arguments, &answer), answer, "MKDIR");
  if (made.is_ok()) return made->handle;
  LOOKUP3args lookup{};
  lookup.what = arguments.where;
  Answer found;
  auto there = wait_for(*this, rpc_nfs3_lookup_async(rpc_, looked_up, &lookup, &found), found, "LOOKUP");
  if (!there.is_ok()) return made.status();
  return there->handle;
}

Result<NfsConnection::Handle> NfsConnection::make_file(const Handle& parent, const std::string& name) {
  CREATE3args arguments{};
  arguments.where.dir = nfs_handle(parent);
  arguments.where.name = const_cast<char*>(name.c_str());
  arguments.how.mode = UNCHECKED;
  arguments.how.createhow3_u.obj_attributes.mode.set_it = 1;
  arguments.how.createhow3_u.obj_attributes.mode.set_mode3_u.mode = 0644;
  Answer answer;
  auto made = wait_for(*this, rpc_nfs3_create_async(rpc_, made_file, &arguments, &answer), answer, "CREATE");
  if (!made.is_ok()) return made.status();
  return made->handle;
}

Status NfsConnection::remove_directory(const Handle& parent, const std::string& name) {
  RMDIR3args arguments{};
  arguments.object.dir = nfs_handle(parent);
  arguments.object.name = const_cast<char*>(name.c_str());
  Answer answer;
  return wait_for(*this, rpc_nfs3_rmdir_async(rpc_, removed, &arguments, &answer), answer, "RMDIR").status();
}

Result<uint64_t> NfsConnection::size_of(const Handle& file) {
  GETATTR3args arguments{};
  arguments.object = nfs_handle(file);
  Answer answer;
  auto got =
      wait_for(*this, rpc_nfs3_getattr_async(rpc_, got_attributes, &arguments, &answer), answer, "GETATTR");
  if (!got.is_ok()) return got.status();
  return got->size;
}

}  // namespace shima
