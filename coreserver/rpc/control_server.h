// ControlServer: the gRPC server of a core server's control plane; thin handlers over a ServerFacade.
//
// Threads: handlers run on gRPC's own threads (at most kMaxThreads). A message above 4 MiB, and anything that
// is not a well-formed call, is refused by gRPC before a handler sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/status/status.h"
#include "coreserver/rpc/server_facade.h"

namespace shima {

inline constexpr int kMaxControlMessageBytes = 4 << 20;

class ControlServer {
 public:
  static constexpr int kMaxThreads = 24;

  // Listens on `address` (IPv4 or IPv6 literal, or a name) and `port` (0: any free one). `facade` must
  // outlive the server. kUnavailable if the address cannot be bound.
  static Result<std::unique_ptr<ControlServer>> start(ServerFacade& facade, const std::string& address,
                                                      uint16_t port);
  // Stops at once: calls in progress get up to a second.
  ~ControlServer();

  uint16_t port() const;  // the bound one
  void stop();            // also done by the destructor; may be called more than once

 private:
  class Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
