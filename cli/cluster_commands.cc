// shimactl status, site list|add, server list
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/record_text.h"
#include "cli/session.h"
#include "cli/size_text.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

ordered_json software_json(const cluster::v1::ServerSoftware& software) {
  return {{"server", software.server()},
          {"alive", software.alive()},
          {"software", software.software()},
          {"release", software.release()},
          {"formats_level", software.formats_level()},
          {"protocol_min", software.protocol_min()},
          {"protocol_max", software.protocol_max()}};
}

std::string version_text(const cluster::v1::ServerSoftware& software) {
  return software.software().empty() ? "before 0.1.0" : software.software();
}

// "0.1.0 (4 servers), 0.2.0 (2 servers)"
std::string versions_text(const cluster::v1::GetStatusReply& status) {
  std::map<std::string, int> servers;
  for (const auto& software : status.software()) ++servers[version_text(software)];
  std::vector<std::string> parts;
  for (const auto& [version, count] : servers)
    parts.push_back(version + " (" + std::to_string(count) + (count == 1 ? " server)" : " servers)"));
  return join(parts, ", ");
}

void print_status_json(Session& session, const cluster::v1::GetStatusReply& status) {
  ordered_json volumes = ordered_json::array();
  for (const auto& volume : status.volumes()) {
    volumes.push_back(
        {{"name", volume.name()}, {"healthy", volume.healthy()}, {"reasons", words(volume.reasons())}});
  }
  ordered_json software = ordered_json::array(), refused = ordered_json::array();
  for (const auto& each : status.software()) software.push_back(software_json(each));
  for (const auto& each : status.refused())
    refused.push_back({{"server", each.server()}, {"software", each.software()}, {"reason", each.reason()}});
  print_json(session.out, {{"answered_by", status.server()},
                           {"incarnation", status.incarnation()},
                           {"etcd",
                            {{"reachable", status.etcd_reachable()},
                             {"error", status.etcd_error()},
                             {"stale_ms", status.stale_ms()}}},
                           {"sites", status.sites()},
                           {"servers", status.servers()},
                           {"servers_alive", status.servers_alive()},
                           {"servers_away", words(status.servers_away())},
                           {"software", software},
                           {"formats_level", status.formats_level()},
                           {"refused", refused},
                           {"volumes", volumes}});
}

void print_status_table(Session& session, const cluster::v1::GetStatusReply& status) {
  int healthy = 0;
  Table sick({{"VOLUME NOT HEALTHY"}, {"WHY"}});
  for (const auto& volume : status.volumes()) {
    healthy += volume.healthy();
    if (!volume.healthy()) sick.add_row({volume.name(), join(words(volume.reasons()), "; ")});
  }
  const std::string age = format_seconds(static_cast<double>(status.stale_ms()) / 1000);
  Facts facts;
  facts.add("answered by", status.server() + ", incarnation " + std::to_string(status.incarnation()));
  facts.add("etcd", status.etcd_reachable()
                        ? "reachable"
                        : "NOT reachable, last heard of " + age + " ago: " + status.etcd_error());
  facts.add("sites", std::to_string(status.sites()));
  facts.add("servers",
            std::to_string(status.servers_alive()) + " of " + std::to_string(status.servers()) + " alive" +
                (status.servers_away().empty() ? "" : "; away: " + join(words(status.servers_away()), ", ")));
  if (status.software_size() > 0) {
    facts.add("versions",
              versions_text(status) + "; formats of level " + std::to_string(status.formats_level()));
  }
  for (const auto& refused : status.refused())
    facts.add("refused", refused.server() + ": " + refused.reason());
  facts.add("volumes", std::to_string(healthy) + " of " + std::to_string(status.volumes_size()) + " healthy");
  facts.print(session.out);
  if (sick.empty()) return;
  session.out << '\n';
  sick.print(session.out);
}

Status show_status(Session& session) {
  auto status = session.control().get_status({});
  if (!status) return status.status();
  session.json() ? print_status_json(session, *status) : print_status_table(session, *status);
  return Status::ok();
}

std::string labels_text(const cluster::v1::SiteRecord& site) {
  const std::map<std::string, std::string> sorted(site.labels().begin(), site.labels().end());
  std::vector<std::string> pairs;
  for (const auto& [name, value] : sorted) pairs.push_back(name + "=" + value);
  return join(pairs, ",");
}

Status list_sites(Session& session) {
  auto reply = session.control().list_sites({});
  if (!reply) return reply.status();
  if (session.json()) {
    ordered_json sites = ordered_json::array();
    for (const auto& site : reply->sites()) sites.push_back(site_json(site));
    print_json(session.out, {{"sites", sites}, {"stale_ms", reply->stale_ms()}});
    return Status::ok();
  }
  Table table({{"SITE"}, {"LABELS"}, {"CIDRS"}});
  for (const auto& site : reply->sites()) {
    table.add_row({site.name(), labels_text(site), join(words(site.cidrs()), ",")});
  }
  table.print(session.out);
  return Status::ok();
}

struct NewSite {
  std::string name;
  std::vector<std::string> labels;  // NAME=VALUE
  std::vector<std::string> cidrs;
};

Status add_site(Session& session, const NewSite& wanted) {
  cluster::v1::AddSiteRequest request;
  request.set_name(wanted.name);
  for (const std::string& label : wanted.labels) {
    const size_t equals = label.find('=');
    (*request.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  for (const std::string& cidr : wanted.cidrs) request.add_cidrs(cidr);
  auto reply = session.control().add_site(request);
  if (!reply) return reply.status();
  if (session.json()) {
    print_json(session.out, site_json(reply->site()));
  } else {
    session.out << "site " << reply->site().name() << " is there\n";
  }
  return Status::ok();
}

Status list_servers(Session& session) {
  auto reply = session.control().list_servers({});
  if (!reply) return reply.status();
  if (session.json()) {
    ordered_json servers = ordered_json::array();
    for (const auto& server : reply->servers()) {
      servers.push_back(server_json(server.record()));
      servers.back()["alive"] = server.alive();
      if (server.has_software()) servers.back()["software"] = software_json(server.software());
    }
    print_json(session.out, {{"servers", servers}, {"stale_ms", reply->stale_ms()}});
    return Status::ok();
  }
  Table table({{"SERVER"},
               {"ID", Align::kRight},
               {"ALIVE"},
               {"VERSION"},
               {"FAILURE DOMAIN"},
               {"INCARNATION", Align::kRight},
               {"DISK", Align::kRight},
               {"CLIENT"},
               {"STORAGE"},
               {"WAN"},
               {"CONTROL"}});
  for (const auto& server : reply->servers()) {
    const auto& record = server.record();
    const auto& networks = record.networks();
    table.add_row({record.name(), std::to_string(record.server_id()), yes_no(server.alive()),
                   server.has_software() ? version_text(server.software()) : "", record.failure_domain(),
                   std::to_string(record.incarnation()), format_bytes(record.disk_total_bytes()),
                   endpoint_text(networks.client()), endpoint_text(networks.storage()),
                   endpoint_text(networks.wan()), endpoint_text(networks.control())});
  }
  table.print(session.out);
  return Status::ok();
}

std::string check_label(const std::string& label) {
  const size_t equals = label.find('=');
  return equals != std::string::npos && equals > 0 ? "" : "wanted a label NAME=VALUE, found '" + label + "'";
}

}  // namespace

void add_cluster_commands(CLI::App& app, Session& session, Action& chosen) {
  auto* status = app.add_subcommand("status", "Health of etcd, of the servers and of the volumes");
  status->callback([&] { chosen = [&] { return show_status(session); }; });

  auto* site = app.add_subcommand("site", "Sites: places whose servers are near to each other");
  site->require_subcommand(1);
  auto* list = site->add_subcommand("list", "All sites");
  list->callback([&] { chosen = [&] { return list_sites(session); }; });

  auto wanted = std::make_shared<NewSite>();
  auto* add = site->add_subcommand("add", "Adds a site");
  add->add_option("name", wanted->name, "Name of the site, 1 to 63 of a-z, 0-9 and -")
      ->required()
      ->type_name("NAME");
  add->add_option("--label", wanted->labels, "Label value that means this site; may be repeated")
      ->check(check_label)
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  add->add_option("--cidr", wanted->cidrs, "Subnet, IPv4 or IPv6, of the site's addresses; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("CIDR");
  add->callback(
      [&session, &chosen, wanted] { chosen = [&session, wanted] { return add_site(session, *wanted); }; });

  auto* server = app.add_subcommand("server", "Core servers");
  server->require_subcommand(1);
  auto* servers = server->add_subcommand("list", "All core servers");
  servers->callback([&] { chosen = [&] { return list_servers(session); }; });
  add_disk_commands(*server, session, chosen);
}

}  // namespace shima
