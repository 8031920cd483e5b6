#include "common/transport/tcp_connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

constexpr size_t kMaxPieces = 256;           // of one sendmsg
constexpr size_t kMaxWriteBytes = 4u << 20;  // of one sendmsg: other connections of the loop want their turn

// The counters are written by the loop's thread only, so no locked instruction is needed.
void add(std::atomic<uint64_t>& counter, uint64_t n) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

LogLimit& malformed_log_limit() {
  static LogLimit limit(60'000);
  return limit;
}

std::string host_of(const std::string& endpoint) { return endpoint.substr(0, endpoint.rfind(':')); }

// The bytes [skip, end) of a frame as pieces; `add_piece(data, size)` returns false when it has no more room.
template <typename AddPiece>
bool list_pieces(const PrefixBytes& prefix, const Frame& frame, size_t skip, AddPiece&& add_piece) {
  auto piece = [&](const void* data, size_t size) {
    if (skip >= size) {
      skip -= size;
      return true;
    }
    bool more = add_piece(static_cast<const uint8_t*>(data) + skip, size - skip);
    skip = 0;
    return more;
  };
  if (!piece(prefix.data(), prefix.size()) || !piece(frame.header.data(), frame.header.size())) return false;
  if (!piece(frame.payload.data(), frame.payload.size())) return false;
  for (const Buffer& buffer : frame.more_payload) {
    if (!piece(buffer.data(), buffer.size())) return false;
  }
  return true;
}

}  // namespace

TransportCounters& transport_counters() {
  static TransportCounters counters;
  return counters;
}

void set_buffer_sizes(int socket, uint32_t bytes) {
  if (bytes == 0) return;
  int size = static_cast<int>(std::min<uint32_t>(bytes, 1u << 30));
  // The forced variants go beyond net.core.*mem_max but need CAP_NET_ADMIN; without it we take what is
  // allowed.
  if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  if (setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
}

std::string endpoint_name(const asio::ip::tcp::endpoint& endpoint) {
  std::string address = endpoint.address().to_string();
  if (endpoint.address().is_v6()) address = "[" + address + "]";
  return address + ":" + std::to_string(endpoint.port());
}

TcpConnection::TcpConnection(EventLoop& loop, asio::ip::tcp::socket socket, const ConnectionOptions& options,
                             std::function<void()> on_gone)
    : loop_(loop),
      loop_impl_(loop.shared_impl()),
      socket_(std::move(socket)),
      options_(options),
      on_gone_(std::move(on_gone)) {
  asio::error_code error;
  auto remote = socket_.remote_endpoint(error);
  peer_ = error ? "a peer that is gone" : endpoint_name(remote);
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.set_option(asio::socket_base::keep_alive(true), error);
  socket_.non_blocking(true, error);
  transport_counters().open++;
}

TcpConnection::~TcpConnection() {
  transport_counters().open--;
  if (on_gone_) on_gone_();
}

void TcpConnection::start(ConnectionHandlers handlers) {
  SHIMA_CHECK(!started_, "a connection is started once");
  started_ = true;
  handlers_ = std::move(handlers);
  auto self = shared_from_this();
  stop_hook_ = loop_.at_stop([self] {
    self->stop_hook_ = 0;
    self->close({Code::kUnavailable, "this process closes its connections"});
    self->report_closed();
  });
  tick_timer_ = loop_.after(options_.heartbeat_ms, [self] { self->on_tick(); });
  if (!open_) return report_closed();
  read_more();
}

ConnectionStats TcpConnection::stats() const { return {frames_in_, frames_out_, bytes_in_, bytes_out_}; }

// ---- receiving

void TcpConnection::read_more() {
  if (reading_ || paused_ || !open_) return;
  reading_ = true;
  auto space = reader_.space();
  std::array<asio::mutable_buffer, 2> buffers = {asio::mutable_buffer(space[0].data(), space[0].size()),
                                                 asio::mutable_buffer(space[1].data(), space[1].size())};
  socket_.async_read_some(buffers, [self = shared_from_this()](const asio::error_code& error, size_t size) {
    self->on_read(error, size);
  });
}

void TcpConnection::on_read(const asio::error_code& error, size_t size) {
  reading_ = false;
  if (!open_) return;
  if (error) {
    bool ended = error == asio::error::eof || error == asio::error::connection_reset;
    return close(
        {Code::kUnavailable,
         "connection with " + peer_ + (ended ? " was closed by the peer" : " broke: " + error.message())});
  }
  silent_ticks_ = 0;
  add(bytes_in_, size);
  reader_.filled(size);
  deliver_frames();
  read_more();
}

void TcpConnection::deliver_frames() {
  if (delivering_) return;  // resume_reading() inside on_frame: the loop below goes on
  delivering_ = true;
  Frame frame;
  while (open_ && !paused_) {
    Result<bool> got = reader_.next(frame);
    if (!got) {
      malformed(got.status());
      break;
    }
    if (!*got) break;
    if (frame.is_heartbeat()) continue;
    add(frames_in_, 1);
    handlers_.on_frame(std::move(frame));
  }
  delivering_ = false;
}

void TcpConnection::malformed(const Status& why) {
  transport_counters().malformed++;
  uint64_t suppressed = 0;
  if (malformed_log_limit().allow(host_of(peer_), real_clock().now_ms(), suppressed)) {
    std::string more = suppressed ? " (" + std::to_string(suppressed) + " more since the last line)" : "";
    log(LogLevel::kWarning, "transport", "closed the connection with " + peer_ + ": " + why.message() + more);
  }
  close(why.with_context("connection with " + peer_));
}

void TcpConnection::pause_reading() { paused_ = true; }

void TcpConnection::resume_reading() {
  if (!paused_) return;
  paused_ = false;
  silent_ticks_ = 0;
  // In a turn of its own: frames that are here already must not be delivered inside the caller's call.
  loop_.post([self = shared_from_this()] {
    self->deliver_frames();
    self->read_more();
  });
}

// ---- sending

void TcpConnection::send(Frame frame) {
  if (!open_) return;
  Outgoing& out = queue_.emplace_back();
  out.prefix = encode_frame_prefix(frame);
  out.size = kFramePrefixSize + frame.header.size() + frame.payload_size();
  out.frame = std::move(frame);
  queued_bytes_ += out.size;
  if (queued_bytes_ >= options_.drained_below_bytes) above_drain_mark_ = true;
  if (flush_pending_ || waiting_writable_) return;
  flush_pending_ = true;
  loop_impl_->before_next_wait([self = shared_from_this()] { self->flush(); });
}

void TcpConnection::flush() {
  flush_pending_ = false;
  while (open_ && !queue_.empty()) {
    ssize_t sent = write_some();
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return wait_until_writable();
    if (sent < 0) {
      return close({Code::kUnavailable, "connection with " + peer_ + " broke: " + std::strerror(errno)});
    }
    take_sent(static_cast<size_t>(sent));
  }
}

ssize_t TcpConnection::write_some() {
  iovec pieces[kMaxPieces];
  size_t count = 0, bytes = 0;
  size_t skip = sent_of_first_;
  auto add_piece = [&](const uint8_t* data, size_t size) {
    pieces[count++] = {const_cast<uint8_t*>(data), size};
    bytes += size;
    return count < kMaxPieces && bytes < kMaxWriteBytes;
  };
  for (const Outgoing& out : queue_) {
    if (!list_pieces(out.prefix, out.frame, skip, add_piece)) break;
    skip = 0;
  }
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void TcpConnection::take_sent(size_t size) {
  add(bytes_out_, size);
  queued_bytes_ -= size;
  sent_since_tick_ = true;
  size += sent_of_first_;
  while (!queue_.empty() && size >= queue_.front().size) {
    size -= queue_.front().size;
    queue_.pop_front();
    add(frames_out_, 1);
  }
  sent_of_first_ = size;
  if (above_drain_mark_ && queued_bytes_ < options_.drained_below_bytes) {
    above_drain_mark_ = false;
    if (handlers_.on_drained) handlers_.on_drained();
  }
}

void TcpConnection::wait_until_writable() {
  waiting_writable_ = true;
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](const asio::error_code&) {
    self->waiting_writable_ = false;  // an error shows up in the next sendmsg
    self->flush();
  });
}

// ---- life

void TcpConnection::on_tick() {
  tick_timer_ = 0;
  if (!open_) return;
  if (!paused_) silent_ticks_++;
  if (static_cast<uint64_t>(silent_ticks_) * options_.heartbeat_ms > options_.dead_after_ms) {
    transport_counters().dead_peers++;
    return close({Code::kUnavailable, "nothing came from " + peer_ + " for " +
                                          std::to_string(options_.dead_after_ms) + " ms: taken for dead"});
  }
  if (!sent_since_tick_ && queue_.empty()) send(Frame());
  sent_since_tick_ = false;
  tick_timer_ = loop_.after(options_.heartbeat_ms, [self = shared_from_this()] { self->on_tick(); });
}

void TcpConnection::close(Status reason) {
  if (!open_) return;
  open_ = false;
  close_reason_ = std::move(reason);
  if (tick_timer_) loop_.cancel(std::exchange(tick_timer_, 0));
  asio::error_code ignored;
  socket_.close(ignored);
  queue_.clear();
  queued_bytes_ = sent_of_first_ = 0;
  if (started_) loop_.post([self = shared_from_this()] { self->report_closed(); });
}

void TcpConnection::report_closed() {
  if (std::exchange(closed_reported_, true)) return;
  if (stop_hook_) loop_.forget_at_stop(std::exchange(stop_hook_, 0));
  ConnectionHandlers handlers = std::move(handlers_);
  handlers_ = ConnectionHandlers();
  if (handlers.on_closed) handlers.on_closed(close_reason_);
}

}  // namespace shima
