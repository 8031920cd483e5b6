// The Connection over a TCP socket. Private to common/transport.
#pragma once

#include <asio/ip/tcp.hpp>
#include <deque>

#include "common/runtime/event_loop_asio.h"
#include "common/transport/connection.h"
#include "common/transport/frame_reader.h"

namespace shima {

// Sets what can only be set before a connection exists (buffer sizes choose the window's scale).
void set_buffer_sizes(int socket, uint32_t bytes);

std::string endpoint_name(const asio::ip::tcp::endpoint& endpoint);

class TcpConnection final : public Connection, public std::enable_shared_from_this<TcpConnection> {
 public:
  TcpConnection(EventLoop& loop, asio::ip::tcp::socket socket, const ConnectionOptions& options,
                std::function<void()> on_gone);
  ~TcpConnection() override;

  void start(ConnectionHandlers handlers) override;
  void send(Frame frame) override;
  uint64_t queued_bytes() const override { return queued_bytes_; }
  void pause_reading() override;
  void resume_reading() override;
  void close(Status reason) override;
  bool is_open() const override { return open_; }
  const std::string& peer() const override { return peer_; }
  ConnectionStats stats() const override;
  EventLoop& loop() const override { return loop_; }

 private:
  struct Outgoing {
    PrefixBytes prefix;
    Frame frame;
    size_t size = 0;  // of all its bytes
  };

  void read_more();
  void on_read(const asio::error_code& error, size_t size);
  void deliver_frames();
  void malformed(const Status& why);

  void flush();
  ssize_t write_some();  // one sendmsg; bytes taken, or -1 with errno
  void take_sent(size_t size);
  void wait_until_writable();

  void on_tick();
  void report_closed();

  EventLoop& loop_;
  std::shared_ptr<EventLoop::Impl> loop_impl_;  // keeps the context for the socket
  asio::ip::tcp::socket socket_;
  const ConnectionOptions options_;
  std::function<void()> on_gone_;  // the listener's count
  std::string peer_;
  ConnectionHandlers handlers_;
  EventLoop::TimerId stop_hook_ = 0;
  EventLoop::TimerId tick_timer_ = 0;
  bool open_ = true, started_ = false, closed_reported_ = false;
  Status close_reason_;

  FrameReader reader_;
  bool reading_ = false, paused_ = false, delivering_ = false;
  uint32_t silent_ticks_ =
      0;  // ticks since a byte came; ticks, not time, so that a loop that hung blames no peer

  std::deque<Outgoing> queue_;
  size_t sent_of_first_ = 0;  // bytes of queue_.front() that the kernel has taken
  uint64_t queued_bytes_ = 0;
  bool flush_pending_ = false, waiting_writable_ = false, above_drain_mark_ = false, sent_since_tick_ = false;

  std::atomic<uint64_t> frames_in_{0}, frames_out_{0}, bytes_in_{0}, bytes_out_{0};
};

}  // namespace shima
