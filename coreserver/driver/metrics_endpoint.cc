#include "coreserver/driver/metrics_endpoint.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <map>

namespace shima {

namespace {

class FacadeMetrics : public prometheus::Collectable {
 public:
  explicit FacadeMetrics(ServerFacade& facade) : facade_(facade) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::map<std::string, prometheus::MetricFamily> families;
    Result<ServerStatistics> stats = facade_.stats();
    if (!stats.is_ok()) return {};
    add(families, {"uptime", "ms", static_cast<double>(stats->uptime_ms)}, "");
    add(families, {"etcd_silent", "ms", static_cast<double>(facade_.stale_ms())}, "");
    for (const Statistic& s : stats->values) add(families, s, "");
    for (const DiskStatistics& d : stats->disks) {
      add(families, {"disk_total", "bytes", static_cast<double>(d.total_bytes)}, d.path);
      add(families, {"disk_free", "bytes", static_cast<double>(d.free_bytes)}, d.path);
      for (const Statistic& s : d.values) add(families, {"disk_" + s.name, s.unit, s.value}, d.path);
    }
    std::vector<prometheus::MetricFamily> all;
    for (auto& [name, family] : families) all.push_back(std::move(family));
    return all;
  }

 private:
  void add(std::map<std::string, prometheus::MetricFamily>& families, const Statistic& s,
           const std::string& disk) const {
    bool has_unit = s.unit != "count" && (s.name.size() < s.unit.size() || !s.name.ends_with(s.unit));
    std::string name = "shima_" + s.name + (has_unit ? "_" + s.unit : "");
    prometheus::MetricFamily& family = families[name];
    family.name = name;
    family.help = "see docs/reference/shimactl.md, stats";
    family.type = prometheus::MetricType::Untyped;
    prometheus::ClientMetric metric;
    metric.label.push_back({"server", facade_.server_name()});
    if (!disk.empty()) metric.label.push_back({"disk", disk});
    metric.untyped.value = s.value;
    family.metric.push_back(std::move(metric));
  }

  ServerFacade& facade_;
};

class Endpoint : public MetricsEndpoint {
 public:
  Endpoint(ServerFacade& facade, const std::string& address)
      : metrics_(std::make_shared<FacadeMetrics>(facade)), exposer_(address, 1) {
    exposer_.RegisterCollectable(metrics_);
  }

 private:
  std::shared_ptr<FacadeMetrics> metrics_;
  prometheus::Exposer exposer_;
};

}  // namespace

Result<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::start(ServerFacade& facade,
                                                                const std::string& address, uint16_t port) {
  std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  std::string where = host + ":" + std::to_string(port);
  try {
    return std::unique_ptr<MetricsEndpoint>(std::make_unique<Endpoint>(facade, where));
  } catch (const std::exception& e) {  // civetweb's
    return Status(Code::kUnavailable,
                  "cannot serve metrics on " + where + ": " + e.what() + "; choose another metrics_port");
  }
}

}  // namespace shima
