#include "cli/record_text.h"

#include <nlohmann/json.hpp>

namespace shima {

using nlohmann::ordered_json;

std::string ack_name(cluster::v1::AckMode ack) {
  switch (ack) {
    case cluster::v1::ACK_MODE_LOCAL:
      return "local";
    case cluster::v1::ACK_MODE_ALL:
      return "all";
    default:
      return "unknown";
  }
}

std::string role_name(cluster::v1::MemberRole role) {
  switch (role) {
    case cluster::v1::MEMBER_ROLE_PRIMARY:
      return "primary";
    case cluster::v1::MEMBER_ROLE_SECONDARY:
      return "secondary";
    case cluster::v1::MEMBER_ROLE_REMOTE:
      return "remote";
    default:
      return "unknown";
  }
}

std::string endpoint_text(const cluster::v1::Endpoint& endpoint) {
  if (endpoint.address().empty() || endpoint.port() == 0) return "";
  const bool v6 = endpoint.address().find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.address() + "]" : endpoint.address()) + ":" + std::to_string(endpoint.port());
}

ordered_json site_json(const cluster::v1::SiteRecord& site) {
  ordered_json labels = ordered_json::object();
  const std::map<std::string, std::string> sorted(site.labels().begin(), site.labels().end());
  for (const auto& [name, value] : sorted) labels[name] = value;
  return {{"name", site.name()}, {"labels", labels}, {"cidrs", words(site.cidrs())}};
}

ordered_json server_json(const cluster::v1::ServerRecord& server) {
  const auto& networks = server.networks();
  return {{"name", server.name()},
          {"server_id", server.server_id()},
          {"site", server.site()},
          {"failure_domain", server.failure_domain()},
          {"incarnation", server.incarnation()},
          {"networks",
           {{"client", endpoint_text(networks.client())},
            {"storage", endpoint_text(networks.storage())},
            {"wan", endpoint_text(networks.wan())},
            {"control", endpoint_text(networks.control())}}},
          {"disk_total_bytes", server.disk_total_bytes()}};
}

namespace {

template <typename Publications>
ordered_json publications_json(const Publications& publications) {
  ordered_json all = ordered_json::array();
  for (const auto& publication : publications) all.push_back(publication_json(publication));
  return all;
}

template <typename Labels>
ordered_json labels_json(const Labels& labels) {
  ordered_json all = ordered_json::object();
  for (const auto& label : labels) all[label.key()] = label.value();
  return all;
}

}  // namespace

ordered_json publication_json(const cluster::v1::Publication& publication) {
  return {{"node", publication.node()},
          {"publication", publication.id()},
          {"site", publication.site()},
          {"read_only", publication.read_only()},
          {"addresses", words(publication.addresses())},
          {"since_ms", publication.since_ms()}};
}

ordered_json volume_json(const cluster::v1::VolumeRecord& volume) {
  ordered_json groups = ordered_json::array();
  for (const auto& group : volume.groups()) {
    ordered_json members = ordered_json::array();
    for (const auto& member : group.members()) {
      members.push_back({{"server_id", member.server_id()},
                         {"incarnation", member.incarnation()},
                         {"site", member.site()},
                         {"role", role_name(member.role())},
                         {"whole", member.whole()},
                         {"in_sync", member.in_sync()}});
    }
    groups.push_back({{"index", group.index()},
                      {"term", group.term()},
                      {"metadata", group.metadata()},
                      {"members", members}});
  }
  return {{"name", volume.name()},
          {"volume_id", volume.volume_id()},
          {"life", volume.life()},
          {"home", volume.home()},
          {"sites", words(volume.sites())},
          {"ack", ack_name(volume.ack())},
          {"block_size_bytes", volume.block_size()},
          {"size_bytes", volume.size_bytes()},
          {"max_inodes", volume.max_inodes()},
          {"config_version", volume.config_version()},
          {"deleting", volume.deleting()},
          {"groups", groups},
          {"published_only", volume.published_only()},
          {"publications", publications_json(volume.publications())},
          {"labels", labels_json(volume.labels())}};
}

ordered_json volume_json(const volume::v1::VolumeSummary& volume) {
  return {{"name", volume.name()},
          {"volume_id", volume.volume_id()},
          {"home", volume.home()},
          {"sites", words(volume.sites())},
          {"ack", ack_name(volume.ack())},
          {"block_size_bytes", volume.block_size()},
          {"size_bytes", volume.size_bytes()},
          {"max_inodes", volume.max_inodes()},
          {"groups", volume.groups()},
          {"config_version", volume.config_version()},
          {"deleting", volume.deleting()},
          {"published_only", volume.published_only()},
          {"publications", publications_json(volume.publications())},
          {"labels", labels_json(volume.labels())}};
}

}  // namespace shima
