#include "coreserver/driver/peer_links.h"

#include <algorithm>

#include "common/observe/log.h"
#include "common/transport/protocol_range.h"
#include "coreserver/driver/wire_messages.h"
#include "shima/data/v1/data.pb.h"

namespace shima {

struct PeerLinks::Link {
  ServerId server;
  NetworkEndpoint endpoint;
  bool wan = false;
  bool forgotten = false;
  bool greeted = false;
  bool dialing = false;
  uint32_t protocol = kDataProtocols.min;
  uint64_t backoff_ms = 50;
  ConnectionPtr connection;
  std::string last_error;
};

namespace {
constexpr uint64_t kMaxBackoffMs = 2000;
constexpr uint32_t kWanBufferBytes = 64u << 20;  // 1 Gbit/s at 200 ms has 25 MB on the way
}  // namespace

PeerLinks::PeerLinks(EventLoop& loop, ServerId self, Incarnation incarnation, PeerLinkHandlers handlers)
    : loop_(loop), self_(self), incarnation_(incarnation), handlers_(std::move(handlers)) {}

PeerLinks::~PeerLinks() { close_all(); }

void PeerLinks::close_all() {
  for (auto& [server, link] : links_) {
    link->forgotten = true;
    if (link->connection) link->connection->close(Status(Code::kUnavailable, "the server stops"));
  }
  links_.clear();
}

void PeerLinks::want(ServerId server, const NetworkEndpoint& endpoint, bool wan) {
  auto it = links_.find(server);
  if (it != links_.end() && it->second->endpoint == endpoint) return;
  if (it != links_.end()) forget(server);
  auto link = std::make_shared<Link>();
  link->server = server;
  link->endpoint = endpoint;
  link->wan = wan;
  links_[server] = link;
  dial(link);
}

void PeerLinks::forget(ServerId server) {
  auto it = links_.find(server);
  if (it == links_.end()) return;
  auto link = it->second;
  links_.erase(it);
  link->forgotten = true;
  if (link->connection) link->connection->close(Status(Code::kUnavailable, "no longer a peer"));
  if (link->greeted) handlers_.down(server);
}

bool PeerLinks::is_up(ServerId server) const {
  auto it = links_.find(server);
  return it != links_.end() && it->second->greeted;
}

bool PeerLinks::has_room(ServerId server) const {
  auto it = links_.find(server);
  return it != links_.end() && it->second->greeted &&
         it->second->connection->queued_bytes() < kMaxQueuedBytes;
}

uint32_t PeerLinks::protocol(ServerId server) const {
  auto it = links_.find(server);
  return it != links_.end() && it->second->greeted ? it->second->protocol : kDataProtocols.min;
}

void PeerLinks::send(ServerId server, Frame frame) {
  auto it = links_.find(server);
  if (it != links_.end() && it->second->greeted) it->second->connection->send(std::move(frame));
}

void PeerLinks::dial(std::shared_ptr<Link> link) {
  if (link->forgotten || link->dialing) return;
  link->dialing = true;
  ConnectionOptions options;
  options.drained_below_bytes = kMaxQueuedBytes / 2;
  if (link->wan) options.socket_buffer_bytes = kWanBufferBytes;
  connect(loop_, link->endpoint.address, link->endpoint.port, options,
          [this, link](Result<ConnectionPtr> result) {
            link->dialing = false;
            if (link->forgotten) {
              if (result.is_ok()) (*result)->close(Status(Code::kUnavailable, "no longer a peer"));
              return;
            }
            if (!result.is_ok()) return lost(link, result.status());
            connected(link, std::move(*result));
          });
}

void PeerLinks::connected(std::shared_ptr<Link> link, ConnectionPtr connection) {
  link->connection = connection;
  ConnectionHandlers handlers;
  handlers.on_frame = [this, link](Frame frame) {
    if (link->forgotten) return;
    if (!link->greeted) return greeted(link, frame);
    handlers_.frame(link->server, link->connection, std::move(frame));
  };
  handlers.on_closed = [this, link](Status why) {
    if (!link->forgotten) lost(link, why);
  };
  handlers.on_drained = [this, link] {
    if (!link->forgotten && link->greeted) handlers_.drained(link->server);
  };
  connection->start(std::move(handlers));
  connection->send(Frame{0, encode_greeting({self_, incarnation_, link->server, own_software()}), {}, {}});
}

void PeerLinks::greeted(std::shared_ptr<Link> link, const Frame& frame) {
  data::v1::Header header;
  if (!header.ParseFromString(frame.header) || !header.has_greeting() ||
      header.greeting().server_id() != link->server.value) {
    link->connection->close(Status(Code::kCorrupt, "wanted a greeting of server " +
                                                       std::to_string(link->server.value) +
                                                       ", found another server or no greeting"));
    return;
  }
  const data::v1::Greeting& greeting = header.greeting();
  Result<ProtocolRange> protocols = protocol_range_from(greeting.protocol_min(), greeting.protocol_max());
  Result<uint32_t> common = protocols ? agree_on_protocol(kDataProtocols, *protocols,
                                                          "server " + std::to_string(link->server.value))
                                      : protocols.status();
  if (!common) {
    link->backoff_ms = kMaxBackoffMs;
    return link->connection->close(common.status());
  }
  link->greeted = true;
  link->protocol = *common;
  link->backoff_ms = 50;
  log(LogLevel::kInfo, "peers",
      "connected to server " + std::to_string(link->server.value) + " at " + to_string(link->endpoint));
  link->last_error.clear();
  handlers_.up(link->server);
}

void PeerLinks::lost(std::shared_ptr<Link> link, const Status& why) {
  bool was_up = link->greeted;
  link->greeted = false;
  link->connection.reset();
  if (why.message() != link->last_error) {  // the same reason again is no news
    link->last_error = why.message();
    log(LogLevel::kWarning, "peers",
        "no connection to server " + std::to_string(link->server.value) + " at " + to_string(link->endpoint) +
            ", trying again: " + why.to_string());
  }
  loop_.after(link->backoff_ms, [this, link] { dial(link); });
  link->backoff_ms = std::min(link->backoff_ms * 2, kMaxBackoffMs);
  if (was_up) handlers_.down(link->server);
}

}  // namespace shima
