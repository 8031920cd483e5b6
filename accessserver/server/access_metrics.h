// AccessMetrics: /metrics in Prometheus' text format, and /healthz, which answers 200 while the process
// serves.
//
// Threads: prometheus-cpp's own; `collect` is called on them, one call at a time, and may take some
// milliseconds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct MetricSample {
  std::string name;  // without "shima_"; ends with its unit
  double value = 0;
  std::string volume;  // label; empty: none
};

class AccessMetrics {
 public:
  using Collect = std::function<std::vector<MetricSample>()>;

  // Serves until destroyed. `server` is the label of all samples. kUnavailable if the address cannot be
  // bound.
  static Result<std::unique_ptr<AccessMetrics>> start(const std::string& address, uint16_t port,
                                                      const std::string& server, Collect collect);
  virtual ~AccessMetrics() = default;
};

}  // namespace shima
