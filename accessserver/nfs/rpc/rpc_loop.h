// What the connections of one event loop share, and what those of all loops do. Private to
// accessserver/nfs/rpc.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "accessserver/nfs/rpc/rpc_server.h"

namespace shima {

class RpcConnection;

// Of the whole server. Shared with whatever is in work, so it outlives the RpcServer if it must.
struct RpcServerState {
  RpcServerState(const RpcServerOptions& o, RpcPrograms& p) : options(o), programs(p) {}

  void call_began();
  void call_ended();
  void wait_for_calls();  // until none is in work

  const RpcServerOptions options;
  RpcPrograms& programs;
  RpcServerCounters counters;

 private:
  std::atomic<uint64_t> calls_in_work_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
};

// Lives on its event loop, except put().
class RpcLoop : public std::enable_shared_from_this<RpcLoop> {
 public:
  // An answer that was made on another thread.
  struct Finished {
    std::shared_ptr<RpcConnection> connection;
    RpcReply reply;
    size_t charged = 0;
    std::shared_ptr<void> keep;
  };

  RpcLoop(EventLoop& loop, std::shared_ptr<RpcServerState> server);

  // Any thread. One wake-up of the loop takes all that was put until it runs, and each connection then sends
  // what it got in one system call.
  void put(Finished finished);

  void begin();  // from now on stopping the event loop closes the connections
  void end();    // closes them; put() drops what it is given

  void add(std::shared_ptr<RpcConnection> connection);
  void remove(RpcConnection* connection) { connections_.erase(connection); }

  EventLoop& loop() { return loop_; }
  RpcServerState& server() { return *server_; }
  std::span<uint8_t> scratch() { return {scratch_.get(), kScratchBytes}; }

 private:
  static constexpr size_t kScratchBytes = 64u << 10;
  void deliver();

  EventLoop& loop_;
  std::shared_ptr<RpcServerState> server_;
  std::unique_ptr<uint8_t[]> scratch_;
  std::map<RpcConnection*, std::shared_ptr<RpcConnection>> connections_;
  EventLoop::TimerId stop_hook_ = 0;

  std::mutex mutex_;
  std::vector<Finished> finished_;  // under mutex_
  bool ended_ = false;              // under mutex_
};

}  // namespace shima
