// `shima-bench transport`: what common/transport itself can do, over loopback between two processes.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

// Prints one JSON line for 4 KiB requests with small replies at depth 1, 16 and 64, and one for 1 MiB one
// way.
Status run_transport_bench(double seconds);

// The two sides of a measurement over a real (or emulated) network.
struct StreamBenchOptions {
  std::string address;  // listen: to bind to; send: of the other side
  uint16_t port = 0;
  double seconds = 10;
  uint32_t payload_bytes = 1u << 20;
  uint32_t depth = 64;  // frames without an answer
  uint32_t socket_buffer_bytes = 0;
};
Status serve_stream(const StreamBenchOptions& options);  // until the process is ended
Status send_stream(const StreamBenchOptions& options);   // one JSON line

}  // namespace shima
