// Listener over TCP: accepts on its first loop, hands each connection to the next of its loops.
#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/steady_timer.hpp>
#include <future>

#include "common/transport/tcp_connection.h"

namespace shima {
namespace {

using asio::ip::tcp;

// Shared with the handlers in flight. Lives on loops[0].
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(std::vector<EventLoop*> loops, const ListenerOptions& options,
           std::function<void(ConnectionPtr)> on_accept)
      : loops_(std::move(loops)),
        loop_impl_(loops_[0]->shared_impl()),
        options_(options),
        on_accept_(std::move(on_accept)),
        acceptor_(loop_impl_->context),
        pause_(loop_impl_->context) {}

  Status bind() {
    asio::error_code error;
    auto address = asio::ip::make_address(options_.address, error);
    if (error) {
      return {Code::kInvalidArgument,
              "wanted an IPv4 or IPv6 address to listen on, found '" + options_.address + "'"};
    }
    tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(!address.is_unspecified()), error);
    if (!error) set_buffer_sizes(acceptor_.native_handle(), options_.connection.socket_buffer_bytes);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(1024, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (!error) return {};
    return {Code::kUnavailable, "cannot listen on " + endpoint_name(endpoint) + ": " + error.message()};
  }

  void begin() {
    stop_hook_ = loops_[0]->at_stop([self = shared_from_this()] { self->stop_hook_ = 0, self->end(); });
    accept_next();
  }

  void end() {
    if (stop_hook_) loops_[0]->forget_at_stop(std::exchange(stop_hook_, 0));
    asio::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

  EventLoop& home() { return *loops_[0]; }
  uint16_t port() const { return port_; }

 private:
  void accept_next() {
    if (!acceptor_.is_open()) return;
    EventLoop* loop = loops_[next_loop_++ % loops_.size()];
    acceptor_.async_accept(loop->impl().context, [self = shared_from_this(), loop](
                                                     const asio::error_code& error, tcp::socket socket) {
      if (!self->acceptor_.is_open()) return;
      if (error) return self->pause_after_error();
      self->hand_over(*loop, std::move(socket));
      self->accept_next();
    });
  }

  // Out of descriptors, most often: try again when some may have been closed.
  void pause_after_error() {
    pause_.expires_after(std::chrono::milliseconds(100));
    pause_.async_wait([self = shared_from_this()](const asio::error_code&) { self->accept_next(); });
  }

  void hand_over(EventLoop& loop, tcp::socket socket) {
    if (open_->load() >= options_.max_connections) {
      transport_counters().refused++;
      return;  // the socket closes itself
    }
    transport_counters().accepted++;
    (*open_)++;
    auto connection = std::make_shared<TcpConnection>(loop, std::move(socket), options_.connection,
                                                      [open = open_] { (*open)--; });
    if (&loop == loops_[0]) return on_accept_(std::move(connection));
    loop.post(
        [self = shared_from_this(), connection = std::move(connection)] { self->on_accept_(connection); });
  }

  std::vector<EventLoop*> loops_;
  std::shared_ptr<EventLoop::Impl> loop_impl_;
  const ListenerOptions options_;
  std::function<void(ConnectionPtr)> on_accept_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  EventLoop::TimerId stop_hook_ = 0;
  size_t next_loop_ = 0;
  uint16_t port_ = 0;
  std::shared_ptr<std::atomic<uint32_t>> open_ = std::make_shared<std::atomic<uint32_t>>(0);
};

class TcpListener final : public Listener {
 public:
  explicit TcpListener(std::shared_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
  ~TcpListener() override {
    if (!acceptor_->home().impl().running) {
      acceptor_->end();
      return;
    }
    // Waits, so that no connection is accepted after this. A loop that has stopped drops the task, and with
    // it the promise.
    auto ended = std::make_shared<std::promise<void>>();
    auto waiting = ended->get_future();
    acceptor_->home().post([acceptor = acceptor_, ended = std::move(ended)] {
      acceptor->end();
      ended->set_value();
    });
    waiting.wait();
  }
  uint16_t port() const override { return acceptor_->port(); }

 private:
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(std::vector<EventLoop*> loops,
                                                 const ListenerOptions& options,
                                                 std::function<void(ConnectionPtr)> on_accept) {
  SHIMA_CHECK(!loops.empty(), "a listener needs an event loop");
  auto acceptor = std::make_shared<Acceptor>(std::move(loops), options, std::move(on_accept));
  SHIMA_RETURN_IF_ERROR(acceptor->bind());
  acceptor->home().post([acceptor] { acceptor->begin(); });
  return std::unique_ptr<Listener>(new TcpListener(std::move(acceptor)));
}

}  // namespace shima
