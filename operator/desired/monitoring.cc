// For the Prometheus operator, where it is installed: what to scrape, and when to call somebody.
//
// What to do about each alert is in docs/howto/alerts.md; tests/e2e/kube_alerts_test.py has each fire.
#include <algorithm>
#include <cctype>

#include "operator/desired/components.h"
#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kVersion[] = "monitoring.coreos.com/v1";
constexpr char kCritical[] = "critical", kWarning[] = "warning";  // call somebody now, and in working hours

Json service_monitor(const ClusterPlan& plan) {
  Json object = namespaced_object(plan.cluster, {kVersion, "ServiceMonitor"}, "shima", {});
  object["spec"] = {{"selector", {{"matchLabels", pod_selector(plan.cluster, {})}}},
                    {"namespaceSelector", {{"matchNames", Json::array({plan.cluster.name_space})}}},
                    {"endpoints", Json::array({{{"port", "metrics"}, {"interval", "30s"}}})}};
  return object;
}

struct Alert {
  const char* name;
  std::string expression;
  const char* wait;
  const char* severity;
  std::string summary;      // what is the matter
  std::string description;  // what it means for whoever uses the volumes
};

Json told(const Alert& alert) {
  std::string anchor = alert.name;
  std::transform(anchor.begin(), anchor.end(), anchor.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return {{"alert", alert.name},
          {"expr", alert.expression},
          {"for", alert.wait},
          {"labels", {{"severity", alert.severity}}},
          {"annotations",
           {{"summary", alert.summary},
            {"description", alert.description},
            {"runbook", "docs/howto/alerts.md#" + anchor}}}};
}

// "metric{namespace=...}"; `more`: further matchers, with a comma in front.
std::string of(const ClusterPlan& plan, const std::string& metric, const std::string& more = "") {
  return metric + "{namespace=\"" + plan.cluster.name_space + "\"" + more + "}";
}

uint32_t total(const std::map<std::string, uint32_t>& counts) {
  uint32_t sum = 0;
  for (const auto& [site, count] : counts) sum += count;
  return sum;
}

// Also true where nothing is scraped at all: a count of nothing is no value.
std::string fewer_than(const std::string& good, uint32_t wanted) {
  return "(count(" + good + " == 1) or vector(0)) < " + std::to_string(wanted);
}

std::vector<Alert> server_alerts(const ClusterPlan& plan) {
  const uint32_t servers = total(plan.core_servers);
  return {
      {"ShimaServerDown", of(plan, "up", ",service=~\"shima-.*\"") + " == 0", "5m", kCritical,
       "{{ $labels.pod }} does not answer",
       "Volumes with a copy at a core server have a copy less, and writes of those whose home it is part of "
       "wait; clients of an access server go to another one."},
      {"ShimaCoreServersMissing", fewer_than(of(plan, "up", ",service=~\"shima-core-.*\""), servers), "10m",
       kCritical, "{{ $value }} of " + std::to_string(servers) + " core servers are there",
       "The others have no pod that runs, or nobody scrapes them: then no other alert is to be trusted."}};
}

std::vector<Alert> etcd_alerts(const ClusterPlan& plan) {
  std::vector<Alert> alerts = {
      {"ShimaEtcdAway", of(plan, "shima_etcd_silent_ms") + " > 30000", "1m", kCritical,
       "{{ $labels.server }} does not reach etcd",
       "Volumes cannot be made, published or moved to another node; data is still served."}};
  const uint32_t members = total(plan.etcd_members);
  if (members == 0) return alerts;  // etcd is somebody else's
  const uint32_t majority = members / 2 + 1;
  alerts.push_back(
      {"ShimaEtcdWithoutMajority", fewer_than(of(plan, "etcd_server_has_leader"), majority), "1m", kCritical,
       "{{ $value }} of " + std::to_string(members) + " members of etcd have a leader, wanted " +
           std::to_string(majority),
       "Nothing about volumes, servers and nodes can be changed until a majority is back; data is "
       "still served."});
  return alerts;
}

std::vector<Alert> home_alerts(const ClusterPlan& plan) {
  return {{"ShimaVolumesNotServed", of(plan, "shima_primary_groups_not_serving") + " > 0", "2m", kCritical,
           "{{ $labels.server }} serves {{ $value }} groups of volumes to nobody",
           "Reads and writes of these volumes wait, at every site."},
          {"ShimaSecondCopyMissing", of(plan, "shima_primary_groups_without_second_copy") + " > 0", "2m",
           kCritical, "{{ $value }} groups of volumes lack the second copy at home of {{ $labels.server }}",
           "Writes of these volumes wait for the second core server of the home; what was acknowledged "
           "before is there."}};
}

std::vector<Alert> remote_alerts(const ClusterPlan& plan) {
  const std::string lag_share =
      of(plan, "shima_greatest_remote_lag_bytes") + " / " + of(plan, "shima_lag_budget_bytes");
  return {{"ShimaRemoteAway", of(plan, "shima_remote_members_away") + " > 0", "10m", kWarning,
           "{{ $labels.server }} does not reach {{ $value }} copies at other sites",
           "What is written now is not at these sites; with ack: all, writes wait until such a site is taken "
           "out of the set."},
          {"ShimaRemoteNotWhole", of(plan, "shima_remote_members_not_whole") + " > 0", "5m", kWarning,
           "{{ $value }} remote copies of groups of {{ $labels.server }} are not whole",
           "They fell behind by more than the lag budget, and are filled again by copying all blocks once "
           "they are reached; until then their sites do not have the volumes."},
          {"ShimaRemoteLagNearBudget", lag_share + " > 0.5", "5m", kWarning,
           "A remote copy lacks {{ $value | humanizePercentage }} of {{ $labels.server }}'s lag budget",
           "At 100 % it leaves the whole set, and all its blocks are copied again."},
          {"ShimaRemoteLagLong", of(plan, "shima_greatest_remote_lag_ms") + " > 300000", "5m", kWarning,
           "A remote copy of {{ $labels.server }} lacks writes that are older than 5 minutes",
           "If the home site were lost now, these would be lost with it."}};
}

std::vector<Alert> disk_alerts(const ClusterPlan& plan) {
  const std::string free_share =
      of(plan, "shima_disk_free_bytes") + " / " + of(plan, "shima_disk_total_bytes");
  return {{"ShimaDiskNearlyFull", free_share + " < 0.1", "10m", kWarning,
           "{{ $labels.server }}: less than a tenth of {{ $labels.disk }} is free",
           "Writes are refused once it is full."},
          {"ShimaDiskFull", "(" + free_share + " < 0.02) or (" + of(plan, "shima_disk_full") + " == 1)", "1m",
           kCritical, "{{ $labels.server }}: {{ $labels.disk }} is full, or nearly",
           "Writes of volumes with a copy there are refused, or soon will be."},
          {"ShimaDiskDamaged", "increase(" + of(plan, "shima_disk_block_checksum_errors") + "[1h]) > 0", "0m",
           kCritical, "{{ $labels.server }}: blocks on {{ $labels.disk }} have wrong checksums",
           "They are never returned, but nothing repairs them by itself."}};
}

Json prometheus_rule(const ClusterPlan& plan) {
  Json rules = Json::array();
  for (const auto& alerts :
       {server_alerts(plan), etcd_alerts(plan), home_alerts(plan), remote_alerts(plan), disk_alerts(plan)})
    for (const Alert& alert : alerts) rules.push_back(told(alert));
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
