#include "accessserver/server/access_metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <map>
#include <mutex>
#include <utility>

namespace shima {
namespace {

class Samples final : public prometheus::Collectable {
 public:
  Samples(std::string server, AccessMetrics::Collect collect)
      : server_(std::move(server)), collect_(std::move(collect)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::lock_guard lock(mutex_);
    std::map<std::string, prometheus::MetricFamily> families;
    for (const MetricSample& sample : collect_()) {
      const std::string name = "shima_" + sample.name;
      prometheus::MetricFamily& family = families[name];
      family.name = name;
      family.help = "see docs/reference/configuration.md, metrics";
      family.type = prometheus::MetricType::Untyped;
      prometheus::ClientMetric metric;
      metric.label.push_back({"server", server_});
      if (!sample.volume.empty()) metric.label.push_back({"volume", sample.volume});
      metric.untyped.value = sample.value;
      family.metric.push_back(std::move(metric));
    }
    std::vector<prometheus::MetricFamily> all;
    for (auto& [name, family] : families) all.push_back(std::move(family));
    return all;
  }

 private:
  const std::string server_;
  const AccessMetrics::Collect collect_;
  mutable std::mutex mutex_;
};

class Endpoint final : public AccessMetrics {
 public:
  Endpoint(const std::string& where, const std::string& server, Collect collect)
      : samples_(std::make_shared<Samples>(server, std::move(collect))),
        health_(std::make_shared<Samples>(server,
                                          [] {
                                            return std::vector<MetricSample>{{"access_healthy_count", 1, ""}};
                                          })),
        exposer_(where, 1) {
    exposer_.RegisterCollectable(samples_);
    exposer_.RegisterCollectable(health_, "/healthz");
  }

 private:
  // The exposer is gone before what it shows.
  const std::shared_ptr<Samples> samples_;
  const std::shared_ptr<Samples> health_;
  prometheus::Exposer exposer_;
};

}  // namespace

Result<std::unique_ptr<AccessMetrics>> AccessMetrics::start(const std::string& address, uint16_t port,
                                                            const std::string& server, Collect collect) {
  const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  const std::string where = host + ":" + std::to_string(port);
  try {
    return std::unique_ptr<AccessMetrics>(std::make_unique<Endpoint>(where, server, std::move(collect)));
  } catch (const std::exception& e) {  // civetweb's
    return Status(Code::kUnavailable,
                  "cannot serve metrics on " + where + ": " + e.what() + "; choose another metrics.port");
  }
}

}  // namespace shima
