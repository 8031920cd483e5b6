#include "operator/server/operator_metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <mutex>
#include <utility>

namespace shima {
namespace {

class Samples final : public prometheus::Collectable {
 public:
  explicit Samples(OperatorMetrics::Collect collect) : collect_(std::move(collect)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::lock_guard lock(mutex_);
    std::map<std::string, prometheus::MetricFamily> families;
    for (const OperatorSample& sample : collect_()) {
      const std::string name = "shima_operator_" + sample.name;
      prometheus::MetricFamily& family = families[name];
      family.name = name;
      family.help = "see docs/reference/configuration.md, metrics of the operator";
      family.type = sample.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      prometheus::ClientMetric metric;
      for (const auto& [key, value] : sample.labels) metric.label.push_back({key, value});
      (sample.counter ? metric.counter.value : metric.gauge.value) = sample.value;
      family.metric.push_back(std::move(metric));
    }
    std::vector<prometheus::MetricFamily> all;
    for (auto& [name, family] : families) all.push_back(std::move(family));
    return all;
  }

 private:
  const OperatorMetrics::Collect collect_;
  mutable std::mutex mutex_;
};

std::shared_ptr<Samples> one(const std::string& name) {
  return std::make_shared<Samples>(
      [name] { return std::vector<OperatorSample>{{.name = name, .value = 1}}; });
}

class Endpoint final : public OperatorMetrics {
 public:
  Endpoint(const std::string& where, Collect collect)
      : samples_(std::make_shared<Samples>(std::move(collect))),
        health_(one("healthy_count")),
        ready_(one("ready_count")),
        exposer_(where, 1) {
    exposer_.RegisterCollectable(samples_);
    exposer_.RegisterCollectable(health_, "/healthz");
  }

  // The library answers 404 to paths without anything registered, and has no other way to say no.
  void set_ready() override { exposer_.RegisterCollectable(ready_, "/readyz"); }

 private:
  // The exposer is gone before what it shows.
  const std::shared_ptr<Samples> samples_, health_, ready_;
  prometheus::Exposer exposer_;
};

}  // namespace

Result<std::unique_ptr<OperatorMetrics>> OperatorMetrics::start(const std::string& address, uint16_t port,
                                                                Collect collect) {
  const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  const std::string where = host + ":" + std::to_string(port);
  try {
    return std::unique_ptr<OperatorMetrics>(std::make_unique<Endpoint>(where, std::move(collect)));
  } catch (const std::exception& e) {  // civetweb's
    return Status(Code::kUnavailable,
                  "cannot serve metrics on " + where + ": " + e.what() + "; choose another metrics-port");
  }
}

}  // namespace shima
