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

std::string in_brackets(const std::string& why) { return why.empty() ? "" : " (" + why + ")"; }

Count count(const StatusInputs& in, Component component) {
  Count count;
  for (const WorkloadView& each : in.workloads) {
    if (each.component != component) continue;
    count.ready += each.ready;
    count.wanted += each.wanted;
    if (each.ready < each.wanted)
      count.lacking.push_back((each.site.empty() ? each.name : each.site) + ": " +
                              of(each.ready, each.wanted) + " ready" + in_brackets(each.why));
  }
  return count;
}

void tell_component(Conditions& conditions, const std::string& type, const StatusInputs& in,
                    const Count& count, const std::string& what) {
  if (count.wanted == 0 && !in.planned) {
    conditions.keep(type);
    return;
  }
  if (count.wanted == 0) return conditions.set(type, true, "NotWanted", "no " + what + " are asked for");
  conditions.set(type, count.whole(), count.whole() ? "AllReady" : "NotAllReady",
                 of(count.ready, count.wanted) + " " + what + " are ready" +
                     (count.whole() ? "" : "; " + told(count.lacking)));
}

// An etcd that is not ours has no pods to be counted: core servers tell whether they reach it.
void tell_etcd(Conditions& conditions, const StatusInputs& in) {
  const Count own = count(in, Component::kEtcd);
  if (!in.external_etcd || own.wanted > 0)
    return tell_component(conditions, "EtcdReady", in, own, "own members of etcd");
  if (!in.health.answered)
    return conditions.set_unknown(
        "EtcdReady", "NotKnown",
        "no core server tells whether spec.etcd.endpoints answer: " + in.health.error);
  const bool reached = in.health.etcd_reachable;
  conditions.set("EtcdReady", reached, reached ? "Reached" : "NotReached",
                 reached ? "core servers reach spec.etcd.endpoints"
                         : "a core server does not reach spec.etcd.endpoints: " + in.health.error);
}

// Pods of a site can be ready, and its servers be away: they hang, or etcd has not heard of them. Servers of
// sites without a workload do not count: those of removedSites stay in etcd's records.
std::vector<std::string> away_at(const StatusInputs& in, const std::string& site) {
  std::vector<std::string> away;
  if (!in.health.answered || !in.health.etcd_reachable) return away;  // what it says is old
  for (const std::string& server : in.health.servers_away)
    if (server.substr(0, server.rfind('/')) == site) away.push_back(server);
  return away;
}

// "a/core-0: /disks/0 is full"
std::vector<std::string> full_at(const StatusInputs& in, const std::string& site) {
  std::vector<std::string> full;
  for (const ServerReplication& each : in.health.replication)
    if (each.server.substr(0, each.server.rfind('/')) == site)
      for (const std::string& disk : each.full_disks) full.push_back(each.server + ": " + disk + " is full");
  return full;
}

void tell_core_servers(Conditions& conditions, const StatusInputs& in) {
  const Count pods = count(in, Component::kCoreServers);
  std::vector<std::string> away, full;
  for (const WorkloadView& each : in.workloads) {
    if (each.component != Component::kCoreServers) continue;
    for (std::string& server : away_at(in, each.site)) away.push_back(std::move(server));
    for (std::string& disk : full_at(in, each.site)) full.push_back(std::move(disk));
  }
  if (away.empty() && full.empty())
    return tell_component(conditions, "CoreServersReady", in, pods, "core servers");
  conditions.set("CoreServersReady", false,
                 !pods.whole()   ? "NotAllReady"
                 : !away.empty() ? "NoLease"
                                 : "DiskFull",
                 of(pods.ready, pods.wanted) + " core servers are ready" +
                     (pods.whole() ? "" : "; " + told(pods.lacking)) +
                     (away.empty() ? "" : "; without a lease in etcd: " + told(away)) +
                     (full.empty() ? ""
                                   : "; " + told(full) +
                                         ": writes there get \"no space\", or wait; delete volumes that are "
                                         "not needed, or give the disks' file systems more room "
                                         "(docs/howto/alerts.md: ShimaDiskFull)"));
}

void tell_volumes(Conditions& conditions, const HealthView& health) {
  if (!health.answered)
    return conditions.set_unknown("VolumesHealthy", "NotKnown", "no core server answers: " + health.error);
  if (!health.etcd_reachable)
    return conditions.set(
        "VolumesHealthy", false, "EtcdAway",
        "a core server that does not reach etcd tells old news of volumes, or none: " + health.error);
  std::vector<std::string> sick;
  for (const UnhealthyVolume& volume : health.unhealthy)
    sick.push_back(volume.name + (volume.reasons.empty() ? "" : ": " + volume.reasons.front()));
  const bool fine = sick.empty();
  conditions.set("VolumesHealthy", fine, fine ? "AllWhole" : "CopiesMissing",
                 fine ? std::to_string(health.volumes) + " volumes, all copies are whole"
                      : std::to_string(sick.size()) + " of " + std::to_string(health.volumes) +
                            " volumes: " + told(sick));
}

std::string told_deletion(const DeletionView& deletion) {
  if (!deletion.known)
    return "no core server tells which volumes exist, so nothing is deleted; bring one back. Whoever takes "
           "the finalizer shima.io/cluster away deletes the ShimaCluster alone: its servers run on, and one "
           "of the same name takes them over";
  if (deletion.volumes.empty()) return "no volume is left; the objects are being deleted";
  return std::to_string(deletion.volumes.size()) + " volumes exist: " + told(deletion.volumes, 5) +
         "; delete their PersistentVolumeClaims, or the volumes by shimactl";
}

void tell_deletion(Conditions& conditions, const DeletionView& deletion) {
  if (!deletion.asked) return;
  const bool blocked = !deletion.known || !deletion.volumes.empty();
  conditions.set("DeletionIsBlocked", blocked,
                 !deletion.known ? "VolumesNotKnown"
                 : blocked       ? "VolumesExist"
                                 : "NothingIsLeft",
                 told_deletion(deletion));
}

// What core servers say that they run, not what images are called: tags can lie, and a server may be refused.
void tell_versions(Conditions& conditions, const HealthView& health) {
  const auto say = [&](bool agree, const char* reason, const std::string& message) {
    conditions.set("VersionsAgree", agree, reason, message);
  };
  if (!health.answered) return say(false, "NotKnown", "no core server answers: " + health.error);
  std::map<std::string, size_t> servers;
  for (const ServerVersion& each : health.versions)
    ++servers[each.version.empty() ? "a version before 0.1.0" : each.version];
  std::vector<std::string> parts, refused;
  for (const auto& [version, count] : servers)
    parts.push_back(std::to_string(count) + " of " + std::to_string(health.versions.size()) +
                    " core servers run " + version);
  for (const RefusedServer& each : health.refused) refused.push_back(each.server + ": " + each.reason);
  if (!refused.empty()) return say(false, "StartRefused", told(refused) + "; " + told(parts));
  if (parts.empty()) return say(false, "NotTold", "the core server that answers is too old to say");
  say(parts.size() == 1, parts.size() == 1 ? "AllSame" : "Mixed", told(parts));
}

// What held components wait for, and the way out where a core server never comes back.
std::string told_held(const std::vector<std::string>& held, const std::string& image) {
  if (held.empty()) return {};
  return "; until all do, " + told(held) +
         " keep their image and their pods' options (if a core server never comes back: annotate the "
         "ShimaCluster with "
         "shima.io/upgrade-without-waiting=" +
         image + ", and they go on)";
}

// The way out of a wait for copies at other sites, which may be cut off by plan or always behind.
std::string told_other_sites(const RolloutStep& step, const std::string& image) {
  if (step.kind != RolloutStep::Kind::kWait || !step.waits_for_other_sites) return {};
  return " (if it is to go on without the copies at other sites: annotate the ShimaCluster with "
         "shima.io/upgrade-without-waiting=" +
         image + ")";
}

void tell_rollout(Conditions& conditions, const StatusInputs& in) {
  const RolloutStep& step = in.rollout;
  const bool going_on = step.kind != RolloutStep::Kind::kDone;
  conditions.set("Upgrading", going_on,
                 !going_on                                  ? "UpToDate"
                 : step.kind == RolloutStep::Kind::kRestart ? "Restarting"
                                                            : "Waiting",
                 of(step.up_to_date, step.total) + " core servers run the wanted version" +
                     (step.reason.empty() ? "" : "; " + step.reason) + told_other_sites(step, in.image) +
                     told_held(in.held_images, in.image));
}

// Not a reason to be not Ready: everything runs, where it was.
void tell_moves(Conditions& conditions, const std::vector<std::string>& waiting) {
  const bool wait = !waiting.empty();
  conditions.set("NodesWouldMove", wait, wait ? "InUse" : "NoneWaits",
                 !wait
                     ? "no node waits for another site"
                     : told(waiting) +
                           ". Put the nodes' labels back, or drain the nodes of VMs and pods with claims "
                           "(docs/howto/kubernetes.md: not of core servers, whose volumes would wait); with "
                           "a disk on them: delete its claim, if its data is not needed");
}

// Not a reason to be not Ready: everything runs until a drain takes it.
void tell_drains(Conditions& conditions, const DrainStep& step) {
  const bool draining = !step.told.empty();
  conditions.set("NodesDraining", draining,
                 !draining                ? "NoneIsCordoned"
                 : step.open_site.empty() ? "Waiting"
                                          : "MayGoOn",
                 draining ? told(step.told) : "no node with a core server is cordoned");
}

// Not a reason to be not Ready: mounts go on. Only a person knows when a node may be drained.
void tell_mounters(Conditions& conditions, const std::vector<WorkloadView>& workloads) {
  uint32_t old = 0;
  std::vector<std::string> where;
  for (const WorkloadView& each : workloads) {
    if (each.old_mounters == 0) continue;
    old += each.old_mounters;
    where.push_back(each.site + ": " + of(each.old_mounters, each.wanted));
  }
  conditions.set(
      "MountersUpToDate", old == 0, old == 0 ? "UpToDate" : "OldOnes",
      old == 0 ? "every mounter runs the wanted version"
               : std::to_string(old) + " mounters run an older version, with the mounts of their nodes (" +
                     told(where) +
                     "). Node by node: drain it of VMs and pods with claims, and not of its core server "
                     "(docs/howto/kubernetes.md), and delete its pod of the component csi-mounter");
}

// What is decided by a plan, and what keeps a node from it.
void tell_steps(Conditions& conditions, const StatusInputs& in) {
  if (in.planned) {
    tell_rollout(conditions, in);
    tell_moves(conditions, in.waiting_moves);
    tell_drains(conditions, in.drain);
  } else {
    for (const char* type : {"Upgrading", "NodesWouldMove", "NodesDraining"}) conditions.keep(type);
  }
}

void tell_spec(Conditions& conditions, const StatusInputs& in) {
  std::vector<std::string> wrong;
  if (!in.spec_error.empty()) wrong.push_back(in.spec_error);
  wrong.insert(wrong.end(), in.refused.begin(), in.refused.end());
  conditions.set("SpecAccepted", wrong.empty(),
                 in.spec_error.empty() ? (wrong.empty() ? "Accepted" : "PartlyRefused") : "Invalid",
                 wrong.empty() ? "all of the spec is acted on" : told(wrong));
}

bool are_sites_known(const StatusInputs& in) { return !in.sites.label.empty(); }

void tell_sites(Conditions& conditions, const StatusInputs& in) {
  if (!are_sites_known(in) && in.claimed_by_others.empty()) {
    conditions.keep("SitesMapped");
    return;
  }
  std::vector<std::string> sites = in.sites.problems;
  sites.insert(sites.end(), in.claimed_by_others.begin(), in.claimed_by_others.end());
  if (are_sites_known(in) && in.sites.nodes_of_site.empty())
    sites.insert(sites.begin(), "no node has the label " + in.sites.label + ", whose value is the site");
  conditions.set(
      "SitesMapped", sites.empty(),
      in.claimed_by_others.empty() ? (sites.empty() ? "Mapped" : "NotAllMapped") : "NodesClaimedTwice",
      sites.empty() ? std::to_string(in.sites.nodes_of_site.size()) + " sites" : told(sites));
}

void tell_objects(Conditions& conditions, const StatusInputs& in) {
  std::vector<std::string> objects = in.apply_errors;
  objects.insert(objects.end(), in.contested.begin(), in.contested.end());
  conditions.set("ObjectsApplied", objects.empty(),
                 objects.empty()           ? "Applied"
                 : !in.knows_enough        ? "Waiting"
                 : in.apply_errors.empty() ? "Contested"
                                           : "Refused",
                 objects.empty() ? "every object is as it should be" : told(objects));
}

// One line a site, for `kubectl get -o yaml` and the chart's notes.
json site_lines(const StatusInputs& in) {
  json lines = json::array();
  if (!are_sites_known(in)) return in.previous.is_object() ? in.previous.value("sites", lines) : lines;
  for (const auto& [site, nodes] : in.sites.nodes_of_site) {
    std::map<Component, Count> counts;
    std::vector<std::string> lacking;
    for (const WorkloadView& each : in.workloads) {
      if (each.site != site) continue;
      counts[each.component].ready += each.ready;
      counts[each.component].wanted += each.wanted;
      if (each.ready < each.wanted)
        lacking.push_back(each.name + " has " + of(each.ready, each.wanted) + " pods ready" +
                          in_brackets(each.why));
    }
    for (const std::string& server : away_at(in, site)) lacking.push_back(server + " has no lease in etcd");
    for (const std::string& disk : full_at(in, site)) lacking.push_back(disk);
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

// What keeps the cluster from being Ready, in the order in which a person would look at it; what is not known
// comes last, since it mostly follows from something that is.
std::string first_trouble(const json& conditions) {
  for (const char* status : {"False", "Unknown"})
    for (const char* type : {"SpecAccepted", "SitesMapped", "ObjectsApplied", "EtcdReady", "CoreServersReady",
                             "VolumesHealthy", "AccessServersReady", "CsiReady"})
      if (is(conditions, type, status)) return type;
  return {};
}

// A number that only a core server that reaches etcd knows: as it was while none tells.
json count_of_volumes(const StatusInputs& in, const char* field, size_t now) {
  if (in.health.answered && in.health.etcd_reachable) return now;
  return in.previous.is_object() ? in.previous.value(field, json(0)) : json(0);
}

std::string phase_of(const StatusInputs& in, const json& conditions, const std::string& trouble) {
  if (in.deletion.asked) return is(conditions, "DeletionIsBlocked", "True") ? "DeletionBlocked" : "Deleting";
  if (is(conditions, "Upgrading", "True")) return "Upgrading";
  if (trouble.empty()) return "Ready";
  const bool was_ready = in.previous.is_object() && in.previous.value("wasReady", json(false)) == json(true);
  return was_ready ? "Degraded" : "Creating";
}

// What was told stays, since nothing of it can be told anew; and why that is so.
json status_while_waiting(const StatusInputs& in, Conditions& conditions, const json& before) {
  for (const json& each : before) {
    const json type = each.is_object() ? each.value("type", json()) : json();
    if (type.is_string() && type != json("ObjectsApplied")) conditions.keep(type.get<std::string>());
  }
  tell_objects(conditions, in);
  json status = in.previous.is_object() ? in.previous : json::object();
  if (!status.contains("phase")) status.update({{"phase", "Creating"}, {"message", told(in.apply_errors)}});
  status["conditions"] = conditions.list();
  return status;
}

}  // namespace

json cluster_status(const StatusInputs& in) {
  const json before =
      in.previous.is_object() ? in.previous.value("conditions", json::array()) : json::array();
  Conditions conditions(before, in.generation, in.now);
  if (!in.knows_enough) return status_while_waiting(in, conditions, before);
  tell_spec(conditions, in);
  tell_sites(conditions, in);
  tell_objects(conditions, in);
  tell_etcd(conditions, in);
  tell_core_servers(conditions, in);
  tell_component(conditions, "AccessServersReady", in, count(in, Component::kAccessServers),
                 "access servers");
  tell_component(conditions, "CsiReady", in, count(in, Component::kCsi), "pods of the CSI driver");
  tell_volumes(conditions, in.health);
  tell_versions(conditions, in.health);
  tell_steps(conditions, in);
  tell_mounters(conditions, in.workloads);
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
          {"volumes", count_of_volumes(in, "volumes", in.health.volumes)},
          {"unhealthyVolumes", count_of_volumes(in, "unhealthyVolumes", in.health.unhealthy.size())},
          {"sites", site_lines(in)},
          {"conditions", conditions.list()}};
}

}  // namespace shima
