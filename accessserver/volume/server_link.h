// ServerLink: the volume client's connection to one core server, from the first request until it is lost.
//
// Frames sent before the connection stands wait in it. A lost link is not revived: the next request makes a
// new one. Threads: the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/volume/client_identity.h"
#include "common/transport/connection.h"
#include "common/types/ids.h"

namespace shima {

class ServerLink : public std::enable_shared_from_this<ServerLink> {
 public:
  struct Peer {
    ServerId server;
    std::string host;
    uint16_t port = 0;
    bool operator==(const Peer&) const = default;
  };
  struct Handlers {
    std::function<void(Frame)> on_reply;  // every frame after the greeting
    std::function<void(Status)> on_lost;  // once, never from inside open() or send(); not after close()
  };

  ServerLink(EventLoop& loop, Peer peer, ClientId client, const ClientIdentity& identity,
             const ConnectionOptions& options);

  void open(Handlers handlers);
  void send(Frame frame);
  void close();
  const Peer& peer() const { return peer_; }

 private:
  void on_connected(ConnectionPtr connection);
  void on_frame(Frame frame);
  void lose(Status why);

  EventLoop& loop_;
  const Peer peer_;
  const ClientId client_;
  const ClientIdentity identity_;
  const ConnectionOptions options_;
  Handlers handlers_;
  ConnectionPtr connection_;
  std::vector<Frame> early_;  // until connected
  bool greeted_ = false, over_ = false;
};

}  // namespace shima
