// shimactl server disks|forget-disk: which disks core servers have had, and that one is lost for ever
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/session.h"
#include "coreserver/cluster/disk_id.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

ordered_json disks_json(const cluster::v1::DisksRecord& record) {
  ordered_json disks = ordered_json::array(), forgotten = ordered_json::array();
  for (const auto& disk : record.disks())
    disks.push_back(
        {{"id", disk_id_text(disk.disk_id())}, {"path", disk.path()}, {"since_ms", disk.since_ms()}});
  for (const auto& disk : record.forgotten())
    forgotten.push_back({{"id", disk_id_text(disk.disk_id())}, {"forgotten_ms", disk.forgotten_ms()}});
  return {{"server", record.name()}, {"disks", disks}, {"forgotten", forgotten}};
}

Status list_disks(Session& session) {
  auto reply = session.control().list_disks({});
  if (!reply) return reply.status();
  if (session.json()) {
    ordered_json servers = ordered_json::array();
    for (const auto& record : reply->servers()) servers.push_back(disks_json(record));
    print_json(session.out, {{"servers", servers}});
    return Status::ok();
  }
  Table table({{"SERVER"}, {"DISK"}, {"PATH"}, {"STATE"}});
  for (const auto& record : reply->servers()) {
    for (const auto& disk : record.disks())
      table.add_row({record.name(), disk_id_text(disk.disk_id()), disk.path(), "in use"});
    for (const auto& disk : record.forgotten())
      table.add_row({record.name(), disk_id_text(disk.disk_id()), "", "forgotten"});
  }
  table.print(session.out);
  return Status::ok();
}

Status forget_disk(Session& session, const std::string& server, const std::string& disk) {
  auto id = disk_id_from(disk);
  if (!id) return id.status();
  cluster::v1::ForgetDiskRequest request;
  request.set_server(server);
  request.set_disk_id(*id);
  auto reply = session.control().forget_disk(request);
  if (!reply) return reply.status();
  if (session.json()) {
    ordered_json document = disks_json(reply->record());
    document["was_forgotten"] = reply->was_forgotten();
    print_json(session.out, document);
  } else {
    session.out << "disk " << disk << " of " << server
                << (reply->was_forgotten() ? " was forgotten before\n"
                                           : " is forgotten: the server may start with an empty one\n");
  }
  return Status::ok();
}

}  // namespace

void add_disk_commands(CLI::App& server, Session& session, Action& chosen) {
  auto* disks = server.add_subcommand("disks", "Disks that core servers must have when they start");
  disks->callback([&] { chosen = [&] { return list_disks(session); }; });

  struct Which {
    std::string server, disk;
  };
  auto which = std::make_shared<Which>();
  auto* forget = server.add_subcommand(
      "forget-disk",
      "Says that a disk is lost for ever, so that its server may start with an empty one; refused while "
      "acknowledged data would be lost with it");
  forget->add_option("server", which->server, "Name of the core server, which must not run")
      ->required()
      ->type_name("SITE/core-N");
  forget
      ->add_option(
          "disk", which->disk,
          "Id of the disk (`shimactl server disks`), or `unrecorded` where the server has none on record")
      ->required()
      ->type_name("ID");
  forget->callback([&session, &chosen, which] {
    chosen = [&session, which] { return forget_disk(session, which->server, which->disk); };
  });
}

}  // namespace shima
