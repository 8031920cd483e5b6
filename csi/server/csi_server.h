// CsiServer: gRPC on a unix socket, with a log line and metrics for each call.
//
// Used by every role of the driver. Who may connect is who may open the folder and the socket. Threads:
// handlers run on gRPC's own threads (at most kMaxThreads at a time).
#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "csi/server/call_records.h"

namespace grpc {
class Server;
}

namespace shima {

struct SocketLimits {
  mode_t mode = 0660;
  int max_message_bytes = 4 << 20;
};

class CsiServer {
 public:
  static constexpr int kMaxThreads = 64;
  static constexpr int kStopSeconds = 5;

  // Listens at `socket_path`, an absolute path. A socket there that nobody listens on is replaced;
  // kAlreadyExists: somebody does; kFailedPrecondition: there is something else, or the folder is missing.
  // `services` and `records` must outlive the server. `log_requests`: requests' texts too, without secrets.
  static Result<std::unique_ptr<CsiServer>> start(const std::string& socket_path,
                                                  const std::vector<grpc::Service*>& services,
                                                  CallRecords& records, bool log_requests,
                                                  const SocketLimits& limits = {});
  // Takes no more calls; those in progress get kStopSeconds. The socket is removed.
  ~CsiServer();

 private:
  explicit CsiServer(std::unique_ptr<grpc::Server> server);
  std::unique_ptr<grpc::Server> server_;
};

// Makes room for a socket: see CsiServer::start().
Status make_room_for_socket(const std::string& path);

}  // namespace shima
