#include "operator/status/cluster_status.h"

#include <algorithm>
#include <map>

#include "operator/status/conditions.h"

namespace shima {
namespace {

using nlohmann::json;

struct Count {
  uint32_t ready = 0;
  uint32_t wanted = 0;
  std::vector<std::string> lacking;  // "site-a: 1 of 2"
  bool whole() const { return ready >= wanted; }
};

std::string of(uint32_t ready, uint32_t wanted) {
  return std::to_string(ready) + " of " + std::to_string(wanted);
}

Count count(const StatusInputs& in, Component component) {
  Count count;
  for (const WorkloadView& each : in.workloads) {
    if (each.component != component) continue;
    count.ready += each.ready;
    count.wanted += each.wanted;
    if (each.ready < each.wanted)
      count.lacking.push_back((each.site.empty() ? each.name : each.site) + ": " +
                              of(each.ready, each.wanted) + " ready");
  }
  return count;
}

void tell_component(Conditions& conditions, const std::string& type, const Count& count,
                    const std::string& what) {
  if (count.wanted == 0) return conditions.set(type, true, "NotWanted", "no " + what + " are asked for");
  conditions.set(type, count.whole(), count.whole() ? "AllReady" : "NotAllReady",
                 of(count.ready, count.wanted) + " " + what + " are ready" +
                     (count.whole() ? "" : "; " + told(count.lacking)));
}

void tell_volumes(Conditions& conditions, const HealthView& health) {
  if (!health.answered)
    return conditions.set("VolumesHealthy", false, "NotKnown", "no core server answers: " + health.error);
  std::vector<std::string> sick;
  for (const UnhealthyVolume& volume : health.unhealthy)
    sick.push_back(volume.name + (volume.reasons.empty() ? "" : ": " + volume.reasons.front()));
  const bool fine = sick.empty();
  conditions.set("VolumesHealthy", fine, fine ? "AllWhole" : "CopiesMissing",
                 fine ? std::to_string(health.volumes) + " volumes, all copies are whole"
                      : std::to_string(sick.size()) + " of " + std::to_string(health.volumes) +
                            " volumes: " + told(sick));
}

void tell_deletion(Conditions& conditions, const DeletionView& deletion) {
  if (!deletion.asked) return;
  const bool blocked = !deletion.known || !deletion.volumes.empty();
  conditions.set(
      "DeletionIsBlocked", blocked,
      !deletion.known ? "VolumesNotKnown"
      : blocked       ? "VolumesExist"
                      : "NothingIsLeft",
      !deletion.known
          ? "no core server tells which volumes exist, so nothing is deleted; bring one back, or take the "
            "finalizer shima.io/cluster away to give all data up"
      : blocked ? std::to_string(deletion.volumes.size()) + " volumes exist: " + told(deletion.volumes, 5) +
                      "; delete their PersistentVolumeClaims, or the volumes by shimactl"
                : "no volume is left; the objects are being deleted");
}

void tell_rollout(Conditions& conditions, const RolloutStep& step) {
  const bool going_on = step.kind != RolloutStep::Kind::kDone;
  conditions.set("Upgrading", going_on,
                 !going_on                                  ? "UpToDate"
                 : step.kind == RolloutStep::Kind::kRestart ? "Restarting"
                                                            : "Waiting",
                 of(step.up_to_date, step.total) + " core servers run the wanted version" +
                     (step.reason.empty() ? "" : "; " + step.reason));
}

void tell_configuration(Conditions& conditions, const StatusInputs& in) {
  std::vector<std::string> wrong;
  if (!in.spec_error.empty()) wrong.push_back(in.spec_error);
  wrong.insert(wrong.end(), in.refused.begin(), in.refused.end());
  conditions.set("SpecAccepted", wrong.empty(),
                 in.spec_error.empty() ? (wrong.empty() ? "Accepted" : "PartlyRefused") : "Invalid",
                 wrong.empty() ? "all of the spec is acted on" : told(wrong));
  std::vector<std::string> sites = in.sites.problems;
  sites.insert(sites.end(), in.claimed_by_others.begin(), in.claimed_by_others.end());
  if (in.sites.nodes_of_site.empty())
    sites.insert(sites.begin(), "no node has the label " + in.sites.label + ", whose value is the site");
  conditions.set(
      "SitesMapped", sites.empty(),
      in.claimed_by_others.empty() ? (sites.empty() ? "Mapped" : "NotAllMapped") : "NodesClaimedTwice",
      sites.empty() ? std::to_string(in.sites.nodes_of_site.size()) + " sites" : told(sites));
  conditions.set("ObjectsApplied", in.apply_errors.empty(), in.apply_errors.empty() ? "Applied" : "Refused",
                 in.apply_errors.empty() ? "every object is as it should be" : told(in.apply_errors));
}

// One line a site, for `kubectl get -o yaml` and the chart's notes.
json site_lines(const StatusInputs& in) {
  json lines = json::array();
  for (const auto& [site, nodes] : in.sites.nodes_of_site) {
    std::map<Component, Count> counts;
    std::vector<std::string> lacking;
    for (const WorkloadView& each : in.workloads) {
      if (each.site != site) continue;
      counts[each.component].ready += each.ready;
      counts[each.component].wanted += each.wanted;
      if (each.ready < each.wanted)
        lacking.push_back(each.name + " has " + of(each.ready, each.wanted) + " pods ready");
    }
    if (nodes.empty()) lacking.insert(lacking.begin(), "no node is in this site");
    const auto text = [&](Component c) {
      return std::to_string(counts[c].ready) + "/" + std::to_string(counts[c].wanted);
    };
    lines.push_back({{"name", site},
                     {"nodes", nodes.size()},
                     {"coreServers", text(Component::kCoreServers)},
                     {"accessServers", text(Component::kAccessServers)},
                     {"state", lacking.empty() ? "Ready" : "Degraded"},
                     {"message", lacking.empty() ? "all is ready" : told(lacking)}});
  }
  return lines;
}

bool is(const json& conditions, const std::string& type, const std::string& status) {
  return std::any_of(conditions.begin(), conditions.end(),
                     [&](const json& each) { return each["type"] == type && each["status"] == status; });
}

// What keeps the cluster from being Ready, in the order in which a person would look at it.
std::string first_trouble(const json& conditions) {
  for (const char* type : {"SpecAccepted", "SitesMapped", "ObjectsApplied", "EtcdReady", "CoreServersReady",
                           "VolumesHealthy", "AccessServersReady", "CsiReady"})
    for (const json& each : conditions)
      if (each["type"] == type && each["status"] == "False") return type;
  return {};
}

std::string phase_of(const StatusInputs& in, const json& conditions, const std::string& trouble) {
  if (in.deletion.asked) return is(conditions, "DeletionIsBlocked", "True") ? "DeletionBlocked" : "Deleting";
  if (in.rollout.kind != RolloutStep::Kind::kDone) return "Upgrading";
  if (trouble.empty()) return "Ready";
  const bool was_ready = in.previous.is_object() && in.previous.value("wasReady", json(false)) == json(true);
  return was_ready ? "Degraded" : "Creating";
}

}  // namespace

json cluster_status(const StatusInputs& in) {
  const json before =
      in.previous.is_object() ? in.previous.value("conditions", json::array()) : json::array();
  Conditions conditions(before, in.generation, in.now);
  tell_configuration(conditions, in);
  tell_component(conditions, "EtcdReady", count(in, Component::kEtcd), "own members of etcd");
  tell_component(conditions, "CoreServersReady", count(in, Component::kCoreServers), "core servers");
  tell_component(conditions, "AccessServersReady", count(in, Component::kAccessServers), "access servers");
  tell_component(conditions, "CsiReady", count(in, Component::kCsi), "pods of the CSI driver");
  tell_volumes(conditions, in.health);
  tell_rollout(conditions, in.rollout);
  tell_deletion(conditions, in.deletion);
  const json list = conditions.list();
  const std::string trouble = first_trouble(list);
  std::string message = "all sites are ready";
  for (const json& each : list)
    if (each["type"] == trouble) message = each["message"];
  conditions.set("Ready", trouble.empty(), trouble.empty() ? "AllReady" : "Not" + trouble, message);
  const bool was_ready = trouble.empty() || (in.previous.is_object() &&
                                             in.previous.value("wasReady", json(false)) == json(true));
  return {{"observedGeneration", in.generation},
          {"phase", phase_of(in, list, trouble)},
          {"message", message},
          {"wasReady", was_ready},
          {"volumes", in.health.answered
                          ? json(in.health.volumes)
                          : (in.previous.is_object() ? in.previous.value("volumes", json(0)) : json(0))},
          {"unhealthyVolumes", in.health.unhealthy.size()},
          {"sites", site_lines(in)},
          {"conditions", conditions.list()}};
}

}  // namespace shima
