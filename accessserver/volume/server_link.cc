#include "accessserver/volume/server_link.h"

#include "accessserver/volume/piece_codec.h"

namespace shima {

ServerLink::ServerLink(EventLoop& loop, Peer peer, ClientId client, const ClientIdentity& identity,
                       const ConnectionOptions& options)
    : loop_(loop), peer_(std::move(peer)), client_(client), identity_(identity), options_(options) {}

void ServerLink::open(Handlers handlers) {
  handlers_ = std::move(handlers);
  connect(loop_, peer_.host, peer_.port, options_, [self = shared_from_this()](Result<ConnectionPtr> made) {
    if (!made) return self->lose(made.status());
    if (!self->over_) self->on_connected(std::move(*made));
  });
}

void ServerLink::on_connected(ConnectionPtr connection) {
  connection_ = std::move(connection);
  connection_->start(
      {.on_frame = [self = shared_from_this()](Frame frame) { self->on_frame(std::move(frame)); },
       .on_closed = [self = shared_from_this()](Status why) { self->lose(std::move(why)); }});
  connection_->send(encode_greeting(client_, identity_, peer_.server));
  for (Frame& frame : early_) connection_->send(std::move(frame));
  early_.clear();
}

void ServerLink::send(Frame frame) {
  if (connection_) return connection_->send(std::move(frame));
  early_.push_back(std::move(frame));
}

void ServerLink::on_frame(Frame frame) {
  if (over_) return;
  if (greeted_) return handlers_.on_reply(std::move(frame));
  Status greeting = check_greeting(frame, peer_.server);
  greeted_ = true;
  if (!greeting) connection_->close(greeting);
}

void ServerLink::lose(Status why) {
  if (over_) return;
  over_ = true;
  // In a turn of its own: connect() may fail before open() has returned.
  loop_.post([self = shared_from_this(), why = std::move(why)] {
    Handlers handlers = std::exchange(self->handlers_, {});
    if (handlers.on_lost) handlers.on_lost(why);
  });
}

void ServerLink::close() {
  over_ = true;
  handlers_ = {};
  if (connection_) connection_->close({Code::kUnavailable, "closed by the volume client"});
}

}  // namespace shima
