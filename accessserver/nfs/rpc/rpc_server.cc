// Accepts on the first loop, hands each connection to the next of the loops.
#include "accessserver/nfs/rpc/rpc_server.h"

#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/steady_timer.hpp>

#include "accessserver/nfs/rpc/rpc_connection.h"
#include "accessserver/nfs/rpc/rpc_loop.h"
#include "common/runtime/event_loop_asio.h"

namespace shima {
namespace {

using asio::ip::tcp;

class RpcAcceptor : public std::enable_shared_from_this<RpcAcceptor> {
 public:
  RpcAcceptor(std::vector<std::shared_ptr<RpcLoop>> loops, std::shared_ptr<RpcServerState> server)
      : loops_(std::move(loops)),
        server_(std::move(server)),
        loop_impl_(loops_[0]->loop().shared_impl()),
        acceptor_(loop_impl_->context),
        pause_(loop_impl_->context) {}

  Status bind() {
    const RpcServerOptions& options = server_->options;
    asio::error_code error;
    auto address = asio::ip::make_address(options.address, error);
    if (error) {
      return {Code::kInvalidArgument,
              "wanted an IPv4 or IPv6 address to listen on, found '" + options.address + "'"};
    }
    tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(!address.is_unspecified()), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(1024, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (!error) return {};
    return {Code::kUnavailable, "cannot listen on " + options.address + " port " +
                                    std::to_string(options.port) + ": " + error.message()};
  }

  void begin() {
    stop_hook_ = home().at_stop([self = shared_from_this()] { self->stop_hook_ = 0, self->end(); });
    accept_next();
  }

  void end() {
    if (stop_hook_) home().forget_at_stop(std::exchange(stop_hook_, 0));
    asio::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

  EventLoop& home() { return loops_[0]->loop(); }
  uint16_t port() const { return port_; }

 private:
  void accept_next() {
    if (!acceptor_.is_open()) return;
    std::shared_ptr<RpcLoop> loop = loops_[next_loop_++ % loops_.size()];
    auto& context = loop->loop().impl().context;
    acceptor_.async_accept(
        context, [self = shared_from_this(), loop](const asio::error_code& error, tcp::socket socket) {
          if (!self->acceptor_.is_open()) return;
          if (error) return self->pause_after_error();
          self->hand_over(loop, std::move(socket));
          self->accept_next();
        });
  }

  // Out of descriptors, most often: try again when some may have been closed.
  void pause_after_error() {
    pause_.expires_after(std::chrono::milliseconds(100));
    pause_.async_wait([self = shared_from_this()](const asio::error_code&) { self->accept_next(); });
  }

  void hand_over(const std::shared_ptr<RpcLoop>& loop, tcp::socket socket) {
    RpcServerCounters& counters = server_->counters;
    if (counters.open.load() >= server_->options.max_connections) {
      counters.refused++;
      return;  // the socket closes itself
    }
    counters.accepted++;
    counters.open++;
    auto connection = std::make_shared<RpcConnection>(loop, std::move(socket));
    if (loop->loop().on_loop_thread()) return connection->start();
    loop->loop().post([connection = std::move(connection)] { connection->start(); });
  }

  std::vector<std::shared_ptr<RpcLoop>> loops_;
  std::shared_ptr<RpcServerState> server_;
  std::shared_ptr<EventLoop::Impl> loop_impl_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  EventLoop::TimerId stop_hook_ = 0;
  size_t next_loop_ = 0;
  uint16_t port_ = 0;
};

// Runs the task on the loop and waits for it; here, if the loop does not run (any more).
template <typename F>
void run_on(EventLoop& loop, F task) {
  if (!loop.impl().running) return task();
  auto done = std::make_shared<std::atomic_flag>();
  // Set when the task is gone: run, or dropped by a loop that has stopped.
  std::shared_ptr<void> signal(nullptr, [done](void*) {
    done->test_and_set();
    done->notify_all();
  });
  loop.post([task, signal = std::move(signal)] { task(); });
  done->wait(false);
}

class TcpRpcServer final : public RpcServer {
 public:
  TcpRpcServer(std::shared_ptr<RpcServerState> server, std::vector<std::shared_ptr<RpcLoop>> loops,
               std::shared_ptr<RpcAcceptor> acceptor)
      : server_(std::move(server)), loops_(std::move(loops)), acceptor_(std::move(acceptor)) {}

  // Cancelling asio's timer is declared to throw; there is no error for which it would.
  ~TcpRpcServer() override {  // NOLINT(bugprone-exception-escape)
    run_on(acceptor_->home(), [acceptor = acceptor_] { acceptor->end(); });
    for (const auto& loop : loops_) run_on(loop->loop(), [loop] { loop->end(); });
    server_->wait_for_calls();
  }

  uint16_t port() const override { return acceptor_->port(); }
  const RpcServerCounters& counters() const override { return server_->counters; }

 private:
  std::shared_ptr<RpcServerState> server_;
  std::vector<std::shared_ptr<RpcLoop>> loops_;
  std::shared_ptr<RpcAcceptor> acceptor_;
};

}  // namespace

Result<std::unique_ptr<RpcServer>> RpcServer::open(const std::vector<EventLoop*>& loops,
                                                   const RpcServerOptions& options, RpcPrograms& programs) {
  SHIMA_CHECK(!loops.empty(), "an RPC server needs an event loop");
  auto server = std::make_shared<RpcServerState>(options, programs);
  std::vector<std::shared_ptr<RpcLoop>> rpc_loops;
  rpc_loops.reserve(loops.size());
  for (EventLoop* loop : loops) rpc_loops.push_back(std::make_shared<RpcLoop>(*loop, server));
  auto acceptor = std::make_shared<RpcAcceptor>(rpc_loops, server);
  SHIMA_RETURN_IF_ERROR(acceptor->bind());
  for (const auto& loop : rpc_loops) loop->loop().post([loop] { loop->begin(); });
  acceptor->home().post([acceptor] { acceptor->begin(); });
  return std::unique_ptr<RpcServer>(
      new TcpRpcServer(std::move(server), std::move(rpc_loops), std::move(acceptor)));
}

}  // namespace shima
