// RpcServer: RPC programs over TCP, on event loops: many calls of a connection in work at once, answers in
// any order, no thread waits.
//
// Bounds (I10): a record of at most max_record_bytes; what the calls of one connection bind (arguments, the
// answers they may get, answers that the client has not read yet) stays near max_connection_bytes, of all
// connections near max_total_bytes: past that the server stops reading, and TCP holds the client back. A
// connection may always have one call in work, so none starves. Idle connections are kept and bind no buffer.
// Threads: made and destroyed on a thread that is none of its loops; counters from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/nfs/rpc/rpc_programs.h"
#include "common/runtime/event_loop.h"
#include "common/status/status.h"

namespace shima {

struct RpcServerOptions {
  std::string address = "::";                   // IPv4 or IPv6 literal; "::" takes both
  uint16_t port = 0;                            // 0: the kernel chooses
  uint32_t max_connections = 4096;              // more are closed at once and counted
  size_t max_record_bytes = (1u << 20) + 4096;  // a WRITE of 1 MiB and its headers
  uint64_t max_connection_bytes = 64u << 20;
  uint64_t max_total_bytes = 1u << 30;
};

struct RpcServerCounters {
  std::atomic<uint64_t> accepted{0};   // connections
  std::atomic<uint64_t> refused{0};    // over max_connections
  std::atomic<uint64_t> open{0};       // now
  std::atomic<uint64_t> malformed{0};  // closed since the stream was not ours
  std::atomic<uint64_t> bytes_in{0}, bytes_out{0};
  std::atomic<uint64_t> pauses{0};       // times that reading from a connection was paused
  std::atomic<uint64_t> bound_bytes{0};  // now: see max_total_bytes
};

class RpcServer {
 public:
  // `programs` must outlive it. Errors: kInvalidArgument: no address; kUnavailable: it cannot be bound.
  static Result<std::unique_ptr<RpcServer>> open(const std::vector<EventLoop*>& loops,
                                                 const RpcServerOptions& options, RpcPrograms& programs);
  // Closes the connections and waits until every call in work was answered or dropped by its program: after
  // this nothing of the server is used any more.
  virtual ~RpcServer() = default;
  virtual uint16_t port() const = 0;
  virtual const RpcServerCounters& counters() const = 0;
};

}  // namespace shima
