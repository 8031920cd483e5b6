// Connection: a TCP stream of frames, on one event loop. Listener and connect() make them.
//
// Threads: a connection belongs to its loop: every method and every callback on the loop's thread, except
// peer() and stats(), which are for any. Neither callback is called before start(), and none after on_closed.
// Lifetime: shared; a connection that was started lives until it is closed. It lets go of its callbacks when
// it closes, so these may hold it. close() and stopping the loop end it; on_closed then says why.
//
// Liveness: after a second without sending, a heartbeat frame goes out; when nothing at all was received for
// dead_after_ms (while reading is not paused), the peer is taken for dead: kUnavailable. TCP_USER_TIMEOUT is
// not used: it would also end a connection whose peer holds back the stream on purpose. Backpressure: send()
// never refuses; the caller watches queued_bytes() and on_drained. A receiver that cannot keep up calls
// pause_reading(), and TCP holds the sender back. A malformed frame closes the connection, is counted
// (transport_counters()) and logged, at most once a minute and peer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/runtime/event_loop.h"
#include "common/status/status.h"
#include "common/transport/frame.h"

namespace shima {

struct ConnectionOptions {
  uint32_t heartbeat_ms = 1000;
  uint32_t dead_after_ms = 5000;  // a multiple of heartbeat_ms; also how long connect() takes at most
  // SO_SNDBUF and SO_RCVBUF; 0: the kernel tunes them (best within a site). For a path of 1 Gbit/s and 200
  // ms: 64 MiB, which needs CAP_NET_ADMIN or raised net.core.{w,r}mem_max.
  uint32_t socket_buffer_bytes = 0;
  uint64_t drained_below_bytes = 1u << 20;  // on_drained is called when the queue falls below this
};

struct ConnectionHandlers {
  std::function<void(Frame)> on_frame;    // each frame but heartbeats, in order
  std::function<void(Status)> on_closed;  // once: why; kUnavailable when the peer went away
  std::function<void()> on_drained;  // optional: the queue was above drained_below_bytes and is below again
};

struct ConnectionStats {
  uint64_t frames_in = 0, frames_out = 0, bytes_in = 0, bytes_out = 0;
};

// Of the whole process, for metrics.
struct TransportCounters {
  std::atomic<uint64_t> malformed{0};   // connections closed for a malformed frame
  std::atomic<uint64_t> dead_peers{0};  // connections closed for silence
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> refused{0};  // over a listener's limit
  std::atomic<uint64_t> open{0};     // now
};
TransportCounters& transport_counters();

class Connection {
 public:
  virtual ~Connection() = default;

  // Begins to receive. Once.
  virtual void start(ConnectionHandlers handlers) = 0;
  // Queues the frame; it leaves when the tasks that the loop has now are done, with what these sent, in one
  // system call. Payloads are not copied. After the connection was closed: does nothing. The frame must be
  // within the limits of frame.h.
  virtual void send(Frame frame) = 0;
  virtual uint64_t queued_bytes() const = 0;  // not yet taken by the kernel
  virtual void pause_reading() = 0;           // no on_frame from now on
  virtual void resume_reading() = 0;
  // Closes at once; what is queued is lost. on_closed(reason) follows in a later turn.
  virtual void close(Status reason) = 0;
  virtual bool is_open() const = 0;

  virtual const std::string& peer() const = 0;  // "10.1.0.3:7400", "[fd00::3]:7400"
  virtual ConnectionStats stats() const = 0;
  virtual EventLoop& loop() const = 0;
};

using ConnectionPtr = std::shared_ptr<Connection>;

// Connects; `done` is called on the loop with a connection that is to be started in that call, or with
// kUnavailable. The host is an IPv4 or IPv6 literal or a DNS name. From the loop's thread.
void connect(EventLoop& loop, const std::string& host, uint16_t port, const ConnectionOptions& options,
             std::function<void(Result<ConnectionPtr>)> done);

struct ListenerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6 literal; "::" takes both
  uint16_t port = 0;                  // 0: the kernel chooses
  uint32_t max_connections = 4096;    // more are closed at once and counted
  ConnectionOptions connection;
};

// Accepts connections. Each goes to the next one of its loops; `on_accept` is called on that loop and starts
// it. Threads: made and destroyed on any thread that is none of its loops. Once destroyed, no more are
// accepted; those made stay.
class Listener {
 public:
  // Errors: kInvalidArgument for an address that is none; kUnavailable if it cannot be bound (in use, not
  // this machine's).
  static Result<std::unique_ptr<Listener>> open(std::vector<EventLoop*> loops, const ListenerOptions& options,
                                                std::function<void(ConnectionPtr)> on_accept);
  virtual ~Listener() = default;
  virtual uint16_t port() const = 0;
};

}  // namespace shima
