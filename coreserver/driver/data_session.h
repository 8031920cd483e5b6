// DataSession: one accepted connection of a data stream, from a volume client or from another core server.
//
// The first frame must be a Greeting. Whatever is not well-formed closes the connection, is counted and
// logged once a minute and peer. Backpressure: beyond inflight_bytes of unanswered requests the session reads
// no more until some are answered. Threads: the connection's loop; answers come from the groups' loops.
#pragma once

#include <cstdint>
#include <memory>

#include "common/transport/connection.h"
#include "coreserver/driver/shard.h"

namespace shima {

struct SessionEnvironment {
  ShardSet* shards = nullptr;
  // The server's identity; 0 until it is registered: then nobody is let in.
  std::function<std::pair<ServerId, Incarnation>()> identity;
  uint64_t inflight_bytes = 64ull << 20;
};

// Counters of all sessions of the process.
struct SessionCounters {
  std::atomic<uint64_t> reads{0}, read_bytes{0}, writes{0}, write_bytes{0}, jobs{0}, refused{0}, malformed{0};
};
SessionCounters& session_counters();

// Starts a session on a connection just accepted; it lives as long as the connection.
void serve_data_connection(const SessionEnvironment& environment, ConnectionPtr connection);

}  // namespace shima
