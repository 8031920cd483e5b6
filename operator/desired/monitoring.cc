// For the Prometheus operator, where it is installed: what to scrape, and when to call somebody.
#include "operator/desired/components.h"
#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kVersion[] = "monitoring.coreos.com/v1";

Json service_monitor(const ClusterPlan& plan) {
  Json object = namespaced_object(plan.cluster, {kVersion, "ServiceMonitor"}, "shima", {});
  object["spec"] = {{"selector", {{"matchLabels", pod_selector(plan.cluster, {})}}},
                    {"namespaceSelector", {{"matchNames", Json::array({plan.cluster.name_space})}}},
                    {"endpoints", Json::array({{{"port", "metrics"}, {"interval", "30s"}}})}};
  return object;
}

Json alert(const char* name, const std::string& expression, const char* wait, const char* severity,
           const char* summary) {
  return {{"alert", name},
          {"expr", expression},
          {"for", wait},
          {"labels", {{"severity", severity}}},
          {"annotations", {{"summary", summary}}}};
}

Json prometheus_rule(const ClusterPlan& plan) {
  const std::string of = "{namespace=\"" + plan.cluster.name_space + "\"}";
  const std::string free_share = "shima_disk_free_bytes" + of + " / shima_disk_total_bytes" + of;
  const Json rules = Json::array(
      {alert("ShimaServerDown",
             "up{namespace=\"" + plan.cluster.name_space + "\",service=~\"shima-.*\"} == 0", "5m", "critical",
             "{{ $labels.pod }} does not answer: its volumes have a copy less, or its clients wait"),
       alert("ShimaEtcdAway", "shima_etcd_silent_ms" + of + " > 30000", "1m", "critical",
             "{{ $labels.server }} does not reach etcd: volumes cannot be made, published or moved"),
       alert("ShimaDiskNearlyFull", free_share + " < 0.1", "10m", "warning",
             "{{ $labels.server }}: less than a tenth of {{ $labels.disk }} is free"),
       alert("ShimaDiskFull", free_share + " < 0.02", "1m", "critical",
             "{{ $labels.server }}: {{ $labels.disk }} is nearly full; writes will be refused")});
  Json object = namespaced_object(plan.cluster, {kVersion, "PrometheusRule"}, "shima", {});
  object["spec"] = {{"groups", Json::array({{{"name", "shima"}, {"rules", rules}}})}};
  return object;
}

}  // namespace

Objects monitoring_objects(const ClusterPlan& plan) {
  Objects objects;
  const std::string version = kVersion;
  if (plan.observed.api_kinds.contains(version + "/ServiceMonitor")) objects.push_back(service_monitor(plan));
  if (plan.observed.api_kinds.contains(version + "/PrometheusRule")) objects.push_back(prometheus_rule(plan));
  return objects;
}

}  // namespace shima
