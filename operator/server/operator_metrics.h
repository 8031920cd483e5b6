// OperatorMetrics: /metrics in Prometheus' text format, /healthz, which answers 200 while the process serves,
// and /readyz, which answers 404 until set_ready() and 200 from then on.
//
// Threads: prometheus-cpp's own; `collect` is called on them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct OperatorSample {
  std::string name;  // without "shima_operator_"; ends with its unit
  double value = 0;
  std::map<std::string, std::string> labels;
  bool counter = false;  // only grows
};

class OperatorMetrics {
 public:
  using Collect = std::function<std::vector<OperatorSample>()>;

  // Serves until destroyed. kUnavailable if the address cannot be bound.
  static Result<std::unique_ptr<OperatorMetrics>> start(const std::string& address, uint16_t port,
                                                        Collect collect);
  virtual ~OperatorMetrics() = default;
  virtual void set_ready() = 0;
};

}  // namespace shima
