#include "csi/server/csi_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "csi/server/call_interceptor.h"

namespace shima {
namespace {

std::string error_text(int number) { return std::strerror(number); }  // NOLINT: glibc's is thread-safe

// 0 if somebody takes connections there, else errno.
int connect_once(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const int failed =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  close(fd);
  return failed;
}

// While it lives, files are made with no more than `mode`: gRPC asks for no mode of its own.
class SocketUmask {
 public:
  explicit SocketUmask(mode_t mode) : before_(umask(0777 & ~mode)) {}
  ~SocketUmask() { umask(before_); }
  SocketUmask(const SocketUmask&) = delete;

 private:
  const mode_t before_;
};

}  // namespace

Status make_room_for_socket(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    if (errno != ENOENT) return {Code::kFailedPrecondition, path + ": " + error_text(errno)};
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    if (stat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return Status::ok();
    return {Code::kFailedPrecondition, "the socket's folder " + folder + " is not there; make it first"};
  }
  if (!S_ISSOCK(found.st_mode)) {
    return {Code::kFailedPrecondition, path + " is there and is no socket; remove it, or give another path"};
  }
  const int failed = connect_once(path);
  if (failed == 0 || failed == EAGAIN) {  // EAGAIN: somebody listens, whose queue is full
    return {Code::kAlreadyExists, "another process serves at " + path + "; end it, or give another path"};
  }
  if (failed != ECONNREFUSED) return {Code::kFailedPrecondition, path + ": " + error_text(failed)};
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::ok();
  return {Code::kFailedPrecondition, "cannot remove the old socket " + path + ": " + error_text(errno)};
}

Result<std::unique_ptr<CsiServer>> CsiServer::start(const std::string& socket_path,
                                                    const std::vector<grpc::Service*>& services,
                                                    CallRecords& records, bool log_requests,
                                                    const SocketLimits& limits) {
  SHIMA_RETURN_IF_ERROR(make_room_for_socket(socket_path));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(limits.max_message_bytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
  builder.SetResourceQuota(grpc::ResourceQuota("csi").SetMaxThreads(kMaxThreads));
  int bound = 0;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials(), &bound);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(make_call_interceptor(records, log_requests));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  std::unique_ptr<grpc::Server> server;
  {
    SocketUmask narrow(limits.mode);
    server = builder.BuildAndStart();
  }
  if (!server || bound == 0) {
    return Status(Code::kUnavailable, "cannot listen on the unix socket " + socket_path +
                                          "; see whether its folder may be written by this process");
  }
  return std::unique_ptr<CsiServer>(new CsiServer(std::move(server)));
}

CsiServer::CsiServer(std::unique_ptr<grpc::Server> server) : server_(std::move(server)) {}

CsiServer::~CsiServer() {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(kStopSeconds));
  server_->Wait();
}

}  // namespace shima
