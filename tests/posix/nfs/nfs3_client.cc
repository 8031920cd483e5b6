#include "tests/posix/nfs/nfs3_client.h"

#include <nfsc/libnfs-zdr.h>
#include <poll.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "tests/posix/nfs/nfs3_call.h"

namespace shima {

void on_nfs_answer(rpc_context*, int status, void* data, void* context) {
  auto* call = static_cast<OpenCall*>(context);
  --*call->open;
  if (status != RPC_STATUS_SUCCESS) return;
  call->answered = true;
  (*call->take)(data);
}

int errno_of_nfs(int status) {
  switch (status) {
    case NFS3ERR_NAMETOOLONG:
      return ENAMETOOLONG;
    case NFS3ERR_NOTEMPTY:
      return ENOTEMPTY;
    case NFS3ERR_DQUOT:
      return EDQUOT;
    case NFS3ERR_STALE:
    case NFS3ERR_BADHANDLE:
      return ESTALE;
    case NFS3ERR_NOTSUPP:
      return EOPNOTSUPP;
    case NFS3ERR_JUKEBOX:
      return EAGAIN;
    default:
      return status >= 0 && status <= NFS3ERR_MLINK ? status : EIO;  // these have Linux's numbers
  }
}

int64_t nanoseconds(const nfstime3& time) { return (int64_t{time.seconds} * 1'000'000'000) + time.nseconds; }

Result<std::unique_ptr<Nfs3Client>> Nfs3Client::mount(const std::string& server, const std::string& path) {
  const size_t colon = server.rfind(':');
  if (colon == std::string::npos) {
    return Status(Code::kInvalidArgument, "'" + server + "' is no HOST:PORT: add the port");
  }
  std::unique_ptr<Nfs3Client> client(new Nfs3Client);
  SHIMA_RETURN_IF_ERROR(client->connect(server.substr(0, colon), std::atoi(server.c_str() + colon + 1)));
  client->act_as({});
  int status = kNoAnswer;
  client->exchange(
      [&](rpc_cb done, void* context) {
        return rpc_mount3_mnt_async(client->rpc_, done, const_cast<char*>(path.c_str()), context);
      },
      [&](void* data) {
        const auto& result = *static_cast<const mountres3*>(data);
        status = static_cast<int>(result.fhs_status);
        const fhandle3& root = result.mountres3_u.mountinfo.fhandle;
        if (status == MNT3_OK) client->root_.assign(root.fhandle3_val, root.fhandle3_len);
      });
  if (status == MNT3_OK) return client;
  return Status(Code::kUnavailable, "mounting " + path + " at " + server + ": mountstat3 " +
                                        std::to_string(status) + " " + client->error());
}

Nfs3Client::~Nfs3Client() {
  if (rpc_ != nullptr) rpc_destroy_context(rpc_);
}

Status Nfs3Client::connect(const std::string& host, int port) {
  rpc_ = rpc_init_context();
  if (rpc_ == nullptr) return {Code::kIo, "libnfs has no memory"};
  const bool connected = exchange(
      [&](rpc_cb done, void* context) { return rpc_connect_async(rpc_, host.c_str(), port, done, context); },
      [](void*) {});
  if (connected) return Status::ok();
  return {Code::kUnavailable, "no connection to " + host + ":" + std::to_string(port) + ": " + error()};
}

void Nfs3Client::act_as(const NfsCaller& caller) {
  std::vector<uint32_t> groups = caller.groups;
  rpc_set_auth(rpc_, libnfs_authunix_create("tester", caller.uid, caller.gid,
                                            static_cast<uint32_t>(groups.size()), groups.data()));
}

std::string Nfs3Client::error() const {
  const char* words = rpc_get_error(rpc_);
  return words != nullptr ? words : "";
}

bool Nfs3Client::wait_for(const size_t& open) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kNfsPatienceSeconds);
  while (open > 0 && std::chrono::steady_clock::now() < until) {
    pollfd events{rpc_get_fd(rpc_), static_cast<short>(rpc_which_events(rpc_)), 0};
    if (poll(&events, 1, 1000) < 0 && errno != EINTR) return false;
    if (rpc_service(rpc_, events.revents) < 0) return false;
  }
  return open == 0;
}

bool Nfs3Client::exchange(const Send& send, const std::function<void(void*)>& take) {
  size_t count = 1;
  // On the heap: libnfs may call back as late as when the connection is destroyed.
  auto call = std::make_unique<OpenCall>(OpenCall{&take, &count});
  if (send(on_nfs_answer, call.get()) != 0) return false;
  const bool answered = wait_for(count) && call->answered;
  if (count > 0) rpc_disconnect(rpc_, "no answer");  // calls back what is open
  return answered;
}

}  // namespace shima
