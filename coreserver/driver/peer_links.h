// PeerLinks: this shard's outgoing connections to other core servers, one a server, kept up as long as they
// are wanted.
//
// The primary's side opens the connection; members answer on it. After each connection both sides send a
// Greeting; a server that is not the one expected is refused. Reconnects with back-off from 50 ms to 2 s.
// Threads: one shard's event loop. Callbacks run on it, never from inside a call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/runtime/event_loop.h"
#include "common/transport/connection.h"
#include "common/types/ids.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

struct PeerLinkHandlers {
  std::function<void(ServerId)> up;
  std::function<void(ServerId)> down;
  std::function<void(ServerId, ConnectionPtr, Frame)> frame;
  std::function<void(ServerId)> drained;
};

class PeerLinks {
 public:
  // Frames wait in the groups' queues, as ranges, while a link holds more than this.
  static constexpr uint64_t kMaxQueuedBytes = 16ull << 20;

  PeerLinks(EventLoop& loop, ServerId self, Incarnation incarnation, PeerLinkHandlers handlers);
  ~PeerLinks();

  // Wants a connection to the server at this endpoint from now on; a changed endpoint reconnects.
  void want(ServerId server, const NetworkEndpoint& endpoint, bool wan);
  void forget(ServerId server);

  bool is_up(ServerId server) const;
  bool has_room(ServerId server) const;      // up, and less than kMaxQueuedBytes queued
  uint32_t protocol(ServerId server) const;  // agreed on; the oldest that we speak if the link is down
  void send(ServerId server, Frame frame);   // dropped if the link is down
  void close_all();

 private:
  struct Link;
  void dial(std::shared_ptr<Link> link);
  void connected(std::shared_ptr<Link> link, ConnectionPtr connection);
  void greeted(std::shared_ptr<Link> link, const Frame& frame);
  void lost(std::shared_ptr<Link> link, const Status& why);

  EventLoop& loop_;
  const ServerId self_;
  const Incarnation incarnation_;
  const PeerLinkHandlers handlers_;
  std::map<ServerId, std::shared_ptr<Link>> links_;
};

}  // namespace shima
