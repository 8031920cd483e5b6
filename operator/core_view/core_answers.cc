#include "operator/core_view/core_answers.h"

#include <algorithm>

namespace shima {
namespace {

std::string ack_text(cluster::v1::AckMode ack) {
  return ack == cluster::v1::ACK_MODE_ALL ? "all" : ack == cluster::v1::ACK_MODE_LOCAL ? "local" : "";
}

VolumeView view_of(const volume::v1::VolumeSummary& summary) {
  VolumeView view;
  view.name = summary.name();
  view.home = summary.home();
  view.sites.assign(summary.sites().begin(), summary.sites().end());
  view.ack = ack_text(summary.ack());
  view.size_bytes = summary.size_bytes();
  view.deleting = summary.deleting();
  for (const auto& each : summary.publications())
    view.publications.push_back({each.node(), each.site(), each.read_only()});
  std::sort(view.publications.begin(), view.publications.end(),
            [](const PublicationView& a, const PublicationView& b) { return a.node < b.node; });
  for (const auto& label : summary.labels()) view.labels[label.key()] = label.value();
  return view;
}

bool is_full(const stats::v1::DiskStats& disk) {
  return std::any_of(disk.values().begin(), disk.values().end(),
                     [](const auto& each) { return each.name() == "full" && each.value() > 0; });
}

}  // namespace

HealthView health_from(const Result<cluster::v1::GetStatusReply>& status) {
  HealthView health;
  if (!status) {
    health.error = status.status().message();
    return health;
  }
  health.answered = true;
  health.etcd_reachable = status->etcd_reachable();
  if (!health.etcd_reachable) health.error = status->server() + ": " + status->etcd_error();
  health.volumes = static_cast<uint32_t>(status->volumes_size());
  health.servers_away.assign(status->servers_away().begin(), status->servers_away().end());
  for (const auto& volume : status->volumes())
    if (!volume.healthy())
      health.unhealthy.push_back({volume.name(), {volume.reasons().begin(), volume.reasons().end()}});
  for (const auto& each : status->software()) health.versions.push_back({each.server(), each.software()});
  for (const auto& each : status->refused())
    health.refused.push_back({each.server(), each.software(), each.reason()});
  return health;
}

std::vector<VolumeView> volumes_from(const std::vector<volume::v1::VolumeSummary>& volumes,
                                     const cluster::v1::GetStatusReply& status,
                                     const std::map<std::string, KnownCopies>& copies) {
  std::map<std::string, const cluster::v1::VolumeHealth*> health;
  for (const auto& each : status.volumes()) health[each.name()] = &each;
  std::vector<VolumeView> views;
  views.reserve(volumes.size());
  for (const auto& summary : volumes) {
    VolumeView view = view_of(summary);
    if (const auto found = health.find(view.name); found != health.end()) {
      view.health_known = status.etcd_reachable();
      if (!found->second->healthy())
        view.reasons.assign(found->second->reasons().begin(), found->second->reasons().end());
    }
    if (const auto found = copies.find(view.name); found != copies.end()) {
      view.copies = found->second.last;
      view.copies_are_old = found->second.old;
    }
    views.push_back(std::move(view));
  }
  std::sort(views.begin(), views.end(),
            [](const VolumeView& a, const VolumeView& b) { return a.name < b.name; });
  return views;
}

void add_groups(const replication::v1::ShowGroupsReply& reply, VolumeCopies& copies,
                std::set<uint32_t>& told) {
  for (const auto& group : reply.groups()) {
    if (group.role() != cluster::v1::MEMBER_ROLE_PRIMARY || !told.insert(group.index()).second) continue;
    copies.used_bytes += group.block_bytes();
    for (const auto& member : group.members()) {
      if (member.role() != cluster::v1::MEMBER_ROLE_REMOTE) continue;
      CopyView& copy = copies.by_site[member.site()];
      copy.connected = copy.connected && member.connected();
      copy.whole = copy.whole && member.whole();
      copy.lag_bytes += member.lag_bytes();
      copy.lag_seconds = std::max(copy.lag_seconds, member.lag_seconds());
    }
  }
}

bool are_all_groups(const std::set<uint32_t>& told, const volume::v1::VolumeSummary& volume) {
  return !told.empty() && told.size() >= std::max(volume.groups(), volume.all_groups());
}

ServerReplication replication_from(const std::string& server, const std::string& version,
                                   const Result<stats::v1::GetStatsReply>& stats) {
  ServerReplication found{.server = server};
  if (!stats) {
    // What follows differs from look to look, and the status would with it.
    found.error = stats.status().message();
    found.error = found.error.substr(0, found.error.find("; tried "));
    return found;
  }
  for (const auto& disk : stats->disks())
    if (is_full(disk)) found.full_disks.push_back(disk.path());
  std::map<std::string, uint64_t> values;
  for (const auto& each : stats->values())
    values[each.name()] = each.value() > 0 ? static_cast<uint64_t>(each.value()) : 0;
  found.told = values.contains("primary_groups");
  if (!found.told && !version.empty()) found.error = "its groups do not answer in time";
  found.not_serving = values["primary_groups_not_serving"];
  found.without_second_copy = values["primary_groups_without_second_copy"];
  found.remotes_away = values["remote_members_away"];
  found.remotes_not_whole = values["remote_members_not_whole"];
  found.lag_bytes = values["greatest_remote_lag_bytes"];
  found.lag_ms = values["greatest_remote_lag_ms"];
  return found;
}

std::string control_endpoint(const cluster::v1::ServerState& server) {
  const auto& control = server.record().networks().control();
  if (!server.alive() || control.address().empty() || control.port() == 0) return {};
  const bool v6 = control.address().find(':') != std::string::npos;
  return (v6 ? "[" + control.address() + "]" : control.address()) + ":" + std::to_string(control.port());
}

std::vector<std::string> control_endpoints(const std::vector<cluster::v1::ServerState>& servers,
                                           const std::string& site) {
  std::vector<std::string> endpoints;
  for (const auto& server : servers)
    if (const std::string endpoint = control_endpoint(server);
        server.record().site() == site && !endpoint.empty())
      endpoints.push_back(endpoint);
  return endpoints;
}

std::vector<std::pair<std::string, std::string>> publications_to_take(const std::vector<VolumeView>& volumes,
                                                                      const std::vector<std::string>& nodes) {
  std::vector<std::pair<std::string, std::string>> taken;
  for (const VolumeView& volume : volumes)
    for (const PublicationView& publication : volume.publications)
      if (std::find(nodes.begin(), nodes.end(), publication.node) != nodes.end())
        taken.emplace_back(volume.name, publication.node);
  return taken;
}

}  // namespace shima
