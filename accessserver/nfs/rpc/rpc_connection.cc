#include "accessserver/nfs/rpc/rpc_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

constexpr size_t kMaxPieces = 128;               // of one sendmsg
constexpr size_t kMaxSendBytes = 4u << 20;       // of one sendmsg
constexpr size_t kMaxReadBytesATurn = 1u << 20;  // other connections of the loop want their turn
constexpr size_t kCallOverheadBytes = 1024;      // what a call binds beside its arguments and answer, about

void add(std::atomic<uint64_t>& counter, uint64_t n) { counter.fetch_add(n, std::memory_order_relaxed); }
void subtract(std::atomic<uint64_t>& counter, uint64_t n) { counter.fetch_sub(n, std::memory_order_relaxed); }

LogLimit& malformed_log_limit() {
  static LogLimit limit(60'000);
  return limit;
}

// A client of IPv4 on a socket for both is known by its IPv4 address.
std::string address_of(const asio::ip::tcp::socket& socket) {
  asio::error_code error;
  asio::ip::address address = socket.remote_endpoint(error).address();
  if (error) return "";
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  if (!address.is_v6()) return address.to_string();
  asio::ip::address_v6 without_scope(address.to_v6().to_bytes());  // "fe80::1%eth0" is no literal for rules
  return without_scope.to_string();
}

// A client that vanished without a word is noticed after about three minutes.
void set_options(asio::ip::tcp::socket& socket) {
  asio::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  int idle_s = 60, interval_s = 20, probes = 6;
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// The bytes [skip, end) of a reply as pieces; `add_piece(data, size)` returns false when it has no more room.
template <typename AddPiece>
bool list_pieces(const RpcReply& reply, size_t skip, AddPiece&& add_piece) {
  auto piece = [&](const void* data, size_t size) {
    if (skip >= size) {
      skip -= size;
      return true;
    }
    bool more = add_piece(static_cast<const uint8_t*>(data) + skip, size - skip);
    skip = 0;
    return more;
  };
  if (!piece(reply.head.data(), reply.head_size)) return false;
  const std::string& bytes = reply.body.bytes();
  size_t from = 0;
  for (const XdrWriter::Attachment& attachment : reply.body.attachments()) {
    if (!piece(bytes.data() + from, attachment.at - from)) return false;
    if (!piece(attachment.bytes.data(), attachment.bytes.size())) return false;
    from = attachment.at;
  }
  return piece(bytes.data() + from, bytes.size() - from);
}

}  // namespace

RpcConnection::RpcConnection(std::shared_ptr<RpcLoop> loop, asio::ip::tcp::socket socket)
    : loop_(std::move(loop)),
      loop_impl_(loop_->loop().shared_impl()),
      socket_(std::move(socket)),
      client_(std::make_shared<std::string>(address_of(socket_))),
      reader_(loop_->server().options.max_record_bytes) {
  set_options(socket_);
}

RpcConnection::~RpcConnection() {
  subtract(loop_->server().counters.bound_bytes, bound_bytes_);
  if (open_) subtract(loop_->server().counters.open, 1);  // its loop has stopped before it began
}

void RpcConnection::start() {
  loop_->add(shared_from_this());
  wait_readable();
}

void RpcConnection::close() {
  if (!std::exchange(open_, false)) return;
  asio::error_code ignored;
  socket_.close(ignored);
  for (const RpcReply& reply : queue_) release(reply.size());
  queue_.clear();
  sent_of_first_ = 0;
  unread_ = {};
  subtract(loop_->server().counters.open, 1);
  loop_->remove(this);
}

// ---- what is in work

void RpcConnection::charge(size_t bytes) { bind(bytes); }

void RpcConnection::bind(size_t bytes) {
  bound_bytes_ += bytes;
  add(loop_->server().counters.bound_bytes, bytes);
}

void RpcConnection::release(size_t bytes) {
  bound_bytes_ -= bytes;
  subtract(loop_->server().counters.bound_bytes, bytes);
}

bool RpcConnection::must_pause() const {
  const RpcServerOptions& options = loop_->server().options;
  if (bound_bytes_ == 0) return false;  // one call is always allowed
  // Once paused, half of it must be done first, so that reading goes on for more than one record.
  uint64_t limit = paused_ ? options.max_connection_bytes / 2 : options.max_connection_bytes;
  return bound_bytes_ > limit ||
         loop_->server().counters.bound_bytes.load(std::memory_order_relaxed) > options.max_total_bytes;
}

void RpcConnection::resume_if_may() {
  if (!open_ || !paused_ || taking_ || must_pause()) return;
  paused_ = false;
  std::vector<uint8_t> bytes = std::exchange(unread_, {});
  take_records(bytes);
  if (ended_by_client_) return close_if_done();
  wait_readable();
}

// ---- calls

void RpcConnection::wait_readable() {
  if (waiting_readable_ || paused_ || !open_ || ended_by_client_) return;
  waiting_readable_ = true;
  socket_.async_wait(asio::socket_base::wait_read,
                     [self = shared_from_this()](const asio::error_code& error) {
                       self->waiting_readable_ = false;
                       if (error) return self->close();
                       self->read_some();
                     });
}

void RpcConnection::read_some() {
  size_t turn_bytes = 0;
  while (open_ && !paused_ && turn_bytes < kMaxReadBytesATurn) {
    size_t asked = 0;
    ssize_t size = receive(asked);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size < 0) return close();
    if (size == 0) {
      // Who has shut down only its sending half gets its answers first.
      ended_by_client_ = true;
      return close_if_done();
    }
    received(static_cast<size_t>(size));
    turn_bytes += static_cast<size_t>(size);
    if (static_cast<size_t>(size) < asked) break;
  }
  wait_readable();
}

ssize_t RpcConnection::receive(size_t& asked) {
  std::span<uint8_t> rest = reader_.rest_of_fragment(), scratch = loop_->scratch();
  iovec pieces[2] = {{rest.data(), rest.size()}, {scratch.data(), scratch.size()}};
  msghdr message{};
  message.msg_iov = rest.empty() ? pieces + 1 : pieces;
  message.msg_iovlen = rest.empty() ? 1 : 2;
  asked = rest.size() + scratch.size();
  return ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT);
}

void RpcConnection::received(size_t size) {
  add(loop_->server().counters.bytes_in, size);
  size_t of_fragment = std::min(size, reader_.rest_of_fragment().size());
  Buffer record;
  if (of_fragment > 0 && reader_.filled(of_fragment, record)) begin_call(std::move(record));
  take_records(loop_->scratch().first(size - of_fragment));
}

void RpcConnection::take_records(std::span<const uint8_t> bytes) {
  taking_ = true;
  while (open_ && !bytes.empty()) {
    if (!paused_ && must_pause()) {
      paused_ = true;
      add(loop_->server().counters.pauses, 1);
    }
    if (paused_) {
      unread_.assign(bytes.begin(), bytes.end());
      break;
    }
    Buffer record;
    Result<bool> complete = reader_.take(bytes, record);
    if (!complete) {
      malformed(complete.status());
      break;
    }
    if (*complete) begin_call(std::move(record));
  }
  if (open_ && !paused_ && must_pause()) {
    paused_ = true;
    add(loop_->server().counters.pauses, 1);
  }
  taking_ = false;
}

void RpcConnection::begin_call(Buffer record) {
  if (!open_) return;
  size_t charged = record.size() + kCallOverheadBytes;
  bind(charged);
  calls_in_work_++;
  loop_->server().call_began();
  Status begun = loop_->server().programs.dispatch(std::move(record), client_, shared_from_this(), charged);
  if (begun) return;
  calls_in_work_--;
  release(charged);
  loop_->server().call_ended();
  malformed(begun);
}

void RpcConnection::malformed(const Status& why) {
  add(loop_->server().counters.malformed, 1);
  uint64_t suppressed = 0;
  if (malformed_log_limit().allow(*client_, real_clock().now_ms(), suppressed)) {
    std::string more = suppressed ? " (" + std::to_string(suppressed) + " more since the last line)" : "";
    log(LogLevel::kWarning, "nfs", "closed a connection from " + *client_ + ": " + why.message() + more);
  }
  close();
}

// ---- answers

void RpcConnection::finish(RpcReply reply, size_t charged, std::shared_ptr<void> keep) {
  // What the loop's own events answer goes the longer way, too: answers of many events then leave together.
  if (loop_->loop().on_loop_thread() && taking_) {
    settle(std::move(reply), charged);
  } else {
    loop_->put({shared_from_this(), std::move(reply), charged, std::move(keep)});
  }
  loop_->server().call_ended();
}

void RpcConnection::settle(RpcReply reply, size_t charged) {
  calls_in_work_--;
  release(charged);
  if (open_ && reply.size() > 0) {
    bind(reply.size());
    queue_.push_back(std::move(reply));
    schedule_flush();
  } else {
    close_if_done();
    resume_if_may();
  }
}

void RpcConnection::schedule_flush() {
  if (flush_pending_ || waiting_writable_) return;
  flush_pending_ = true;
  loop_impl_->before_next_wait([self = shared_from_this()] { self->flush(); });
}

void RpcConnection::flush() {
  flush_pending_ = false;
  while (open_ && !queue_.empty()) {
    ssize_t sent = send_some();
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      wait_writable();
      break;
    }
    if (sent < 0) return close();
    take_sent(static_cast<size_t>(sent));
  }
  close_if_done();
  resume_if_may();
}

ssize_t RpcConnection::send_some() {
  iovec pieces[kMaxPieces];
  size_t count = 0, bytes = 0, skip = sent_of_first_;
  auto add_piece = [&](const uint8_t* data, size_t size) {
    pieces[count++] = {const_cast<uint8_t*>(data), size};
    bytes += size;
    return count < kMaxPieces && bytes < kMaxSendBytes;
  };
  for (const RpcReply& reply : queue_) {
    if (!list_pieces(reply, skip, add_piece)) break;
    skip = 0;
  }
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void RpcConnection::take_sent(size_t size) {
  add(loop_->server().counters.bytes_out, size);
  size += sent_of_first_;
  while (!queue_.empty() && size >= queue_.front().size()) {
    size_t whole = queue_.front().size();
    size -= whole;
    queue_.pop_front();
    release(whole);
  }
  sent_of_first_ = size;
}

void RpcConnection::wait_writable() {
  waiting_writable_ = true;
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](const asio::error_code&) {
    self->waiting_writable_ = false;  // an error shows up in the next sendmsg
    self->flush();
  });
}

void RpcConnection::close_if_done() {
  if (ended_by_client_ && calls_in_work_ == 0 && queue_.empty() && unread_.empty()) close();
}

}  // namespace shima
