// connect(): resolves a host and makes a TcpConnection, within a deadline.
#include <asio/ip/tcp.hpp>

#include "common/transport/tcp_connection.h"

namespace shima {
namespace {

using asio::ip::tcp;

// One attempt; lives in the handlers that wait for it. Tries the addresses of a name one after another.
class ConnectAttempt : public std::enable_shared_from_this<ConnectAttempt> {
 public:
  using Done = std::function<void(Result<ConnectionPtr>)>;

  ConnectAttempt(EventLoop& loop, std::string host, uint16_t port, const ConnectionOptions& options,
                 Done done)
      : loop_(loop),
        loop_impl_(loop.shared_impl()),
        host_(std::move(host)),
        port_(port),
        options_(options),
        done_(std::move(done)),
        resolver_(loop_impl_->context),
        socket_(loop_impl_->context) {}

  void begin() {
    auto self = shared_from_this();
    stop_hook_ = loop_.at_stop([self] { self->stop_hook_ = 0, self->fail("this process is being stopped"); });
    timer_ = loop_.after(options_.dead_after_ms, [self] {
      self->timer_ = 0;
      self->fail("no answer within " + std::to_string(self->options_.dead_after_ms) + " ms");
    });
    asio::error_code error;
    auto address = asio::ip::make_address(host_, error);
    if (!error) {
      endpoints_ = {tcp::endpoint(address, port_)};
      return try_next();
    }
    resolver_.async_resolve(host_, std::to_string(port_),
                            [self](const asio::error_code& failed, const tcp::resolver::results_type& found) {
                              if (failed)
                                return self->fail("the name cannot be resolved: " + failed.message());
                              for (const auto& entry : found) self->endpoints_.push_back(entry.endpoint());
                              self->try_next();
                            });
  }

 private:
  void try_next() {
    if (!done_) return;
    if (next_ == endpoints_.size()) return fail(last_error_);
    tcp::endpoint endpoint = endpoints_[next_++];
    asio::error_code error;
    socket_.close(error);
    socket_.open(endpoint.protocol(), error);
    if (error) return fail("cannot open a socket: " + error.message());
    set_buffer_sizes(socket_.native_handle(), options_.socket_buffer_bytes);
    socket_.async_connect(endpoint, [self = shared_from_this()](const asio::error_code& failed) {
      if (!self->done_) return;
      if (!failed) return self->succeed();
      self->last_error_ = failed.message();
      self->try_next();
    });
  }

  void succeed() {
    Done done = finish();
    done(ConnectionPtr(std::make_shared<TcpConnection>(loop_, std::move(socket_), options_, nullptr)));
  }

  void fail(const std::string& why) {
    if (!done_) return;
    Done done = finish();
    asio::error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
    done(Status(Code::kUnavailable,
                "cannot connect to " + host_ + " port " + std::to_string(port_) + ": " + why));
  }

  Done finish() {
    if (timer_) loop_.cancel(std::exchange(timer_, 0));
    if (stop_hook_) loop_.forget_at_stop(std::exchange(stop_hook_, 0));
    return std::exchange(done_, nullptr);
  }

  EventLoop& loop_;
  std::shared_ptr<EventLoop::Impl> loop_impl_;
  const std::string host_;
  const uint16_t port_;
  const ConnectionOptions options_;
  Done done_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  std::vector<tcp::endpoint> endpoints_;
  size_t next_ = 0;
  std::string last_error_ = "the name has no address";
  EventLoop::TimerId timer_ = 0, stop_hook_ = 0;
};

}  // namespace

void connect(EventLoop& loop, const std::string& host, uint16_t port, const ConnectionOptions& options,
             std::function<void(Result<ConnectionPtr>)> done) {
  std::make_shared<ConnectAttempt>(loop, host, port, options, std::move(done))->begin();
}

}  // namespace shima
