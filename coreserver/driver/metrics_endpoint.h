// MetricsEndpoint: /metrics over HTTP, in Prometheus' text format, from what ServerFacade::stats() tells.
//
// Threads: prometheus-cpp's own; stats() may be called from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/status/status.h"
#include "coreserver/rpc/server_facade.h"

namespace shima {

class MetricsEndpoint {
 public:
  // Serves until destroyed; `facade` must outlive it. kUnavailable if the address cannot be bound.
  static Result<std::unique_ptr<MetricsEndpoint>> start(ServerFacade& facade, const std::string& address,
                                                        uint16_t port);
  virtual ~MetricsEndpoint() = default;
};

}  // namespace shima
