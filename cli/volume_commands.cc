// shimactl volume create|list|show|set-size|set-quota|delete
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "cli/record_text.h"
#include "cli/session.h"
#include "cli/size_text.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

struct NewVolume {
  std::string name;
  uint32_t copies = 0;
  std::vector<std::string> sites;
  std::string home;
  std::string ack = "local";
  std::string size = "0";
  uint64_t max_inodes = 0;
  std::string block_size = "1MiB";
  uint32_t groups = 0;
  bool published_only = false;
  std::vector<std::string> labels;  // KEY=VALUE
};

std::string groups_text(const cluster::v1::VolumeRecord& volume) {
  const auto metadata = std::count_if(volume.groups().begin(), volume.groups().end(),
                                      [](const auto& group) { return group.metadata(); });
  const auto data = volume.groups_size() - metadata;
  return std::to_string(data) + " of data" +
         (metadata ? " and one of metadata" : ", none of metadata: no files");
}

void print_volume(Session& session, const cluster::v1::VolumeRecord& volume) {
  Facts facts;
  facts.add("name", volume.name());
  facts.add("volume id", std::to_string(volume.volume_id()));
  facts.add("home", volume.home());
  facts.add("sites", join(words(volume.sites()), ", "));
  facts.add("acknowledge", ack_name(volume.ack()));
  facts.add("size", volume.size_bytes() == 0 ? "not set: no quota"
                                             : format_bytes(volume.size_bytes()) + " (" +
                                                   std::to_string(volume.size_bytes()) + " bytes)");
  facts.add("max inodes", volume.max_inodes() == 0 ? "no quota" : std::to_string(volume.max_inodes()));
  facts.add("used by", volume.published_only()
                           ? "published nodes only: " + std::to_string(volume.publications_size())
                           : "every client");
  facts.add("block size", format_bytes(volume.block_size()));
  facts.add("groups", groups_text(volume));
  facts.add("life", std::to_string(volume.life()));
  facts.add("config version", std::to_string(volume.config_version()));
  for (const auto& label : volume.labels()) facts.add("label", label.key() + "=" + label.value());
  if (volume.deleting()) facts.add("state", "is being deleted");
  facts.print(session.out);
}

void print_members(Session& session, const volume::v1::GetVolumeReply& reply) {
  std::map<uint64_t, std::string> names;
  for (const auto& server : reply.servers()) names[server.server_id()] = server.name();
  Table table({{"GROUP", Align::kRight},
               {"TERM", Align::kRight},
               {"ROLE"},
               {"SERVER"},
               {"INCARNATION", Align::kRight},
               {"WHOLE"},
               {"IN SYNC"}});
  for (const auto& group : reply.record().groups()) {
    for (const auto& member : group.members()) {
      auto name = names.find(member.server_id());
      table.add_row({std::to_string(group.index()) + (group.metadata() ? " metadata" : ""),
                     std::to_string(group.term()), role_name(member.role()),
                     name == names.end() ? member.site() + "/?" : name->second,
                     std::to_string(member.incarnation()), yes_no(member.whole()), yes_no(member.in_sync())});
    }
  }
  session.out << '\n';
  table.print(session.out);
}

void print_publications(Session& session, const cluster::v1::VolumeRecord& volume) {
  if (volume.publications().empty()) return;
  Table table({{"NODE"}, {"PUBLICATION", Align::kRight}, {"SITE"}, {"MAY"}, {"NFS ADDRESSES"}});
  for (const auto& p : volume.publications()) {
    table.add_row({p.node(), std::to_string(p.id()), p.site(), p.read_only() ? "read" : "write",
                   join(words(p.addresses()), ",")});
  }
  session.out << '\n';
  table.print(session.out);
}

Status create_volume(Session& session, const NewVolume& wanted) {
  volume::v1::CreateVolumeRequest request;
  request.set_name(wanted.name);
  request.set_copies(wanted.copies);
  for (const std::string& site : wanted.sites) request.add_sites(site);
  request.set_home(wanted.home);
  request.set_ack(wanted.ack == "all" ? cluster::v1::ACK_MODE_ALL : cluster::v1::ACK_MODE_LOCAL);
  request.set_size_bytes(parse_size(wanted.size).value());
  request.set_max_inodes(wanted.max_inodes);
  request.set_block_size(static_cast<uint32_t>(parse_size(wanted.block_size).value()));
  request.set_groups(wanted.groups);
  request.set_published_only(wanted.published_only);
  for (const std::string& label : wanted.labels) {
    const size_t equals = label.find('=');
    auto& added = *request.add_labels();
    added.set_key(label.substr(0, equals));
    added.set_value(label.substr(equals + 1));
  }
  auto reply = session.control().create_volume(request);
  if (!reply) return reply.status();
  if (session.json()) {
    print_json(session.out, volume_json(reply->record()));
  } else {
    print_volume(session, reply->record());
  }
  return Status::ok();
}

Status list_volumes(Session& session) {
  auto reply = session.control().list_volumes({});
  if (!reply) return reply.status();
  if (session.json()) {
    ordered_json volumes = ordered_json::array();
    for (const auto& volume : reply->volumes()) volumes.push_back(volume_json(volume));
    print_json(session.out, {{"volumes", volumes}, {"stale_ms", reply->stale_ms()}});
    return Status::ok();
  }
  Table table({{"VOLUME"},
               {"HOME"},
               {"SITES"},
               {"ACK"},
               {"SIZE", Align::kRight},
               {"BLOCK", Align::kRight},
               {"GROUPS", Align::kRight},
               {"STATE"}});
  for (const auto& volume : reply->volumes()) {
    table.add_row({volume.name(), volume.home(), join(words(volume.sites()), ","), ack_name(volume.ack()),
                   volume.size_bytes() == 0 ? "" : format_bytes(volume.size_bytes()),
                   format_bytes(volume.block_size()), std::to_string(volume.groups()),
                   volume.deleting() ? "deleting" : "there"});
  }
  table.print(session.out);
  return Status::ok();
}

Status show_volume(Session& session, const std::string& name) {
  volume::v1::GetVolumeRequest request;
  request.set_name(name);
  auto reply = session.control().get_volume(request);
  if (!reply) return reply.status();
  if (session.json()) {
    ordered_json document = volume_json(reply->record());
    document["servers"] = ordered_json::array();
    for (const auto& server : reply->servers()) document["servers"].push_back(server_json(server));
    document["stale_ms"] = reply->stale_ms();
    print_json(session.out, document);
    return Status::ok();
  }
  print_volume(session, reply->record());
  print_members(session, *reply);
  print_publications(session, reply->record());
  return Status::ok();
}

struct Quotas {
  std::string volume;
  std::string size = "0";              // 0: stays as it is
  std::optional<uint64_t> max_inodes;  // nullopt: the same
};

Status set_quotas(Session& session, const Quotas& wanted) {
  volume::v1::SetSizeRequest request;
  request.set_name(wanted.volume);
  request.set_size_bytes(parse_size(wanted.size).value());
  if (wanted.max_inodes) request.set_max_inodes(*wanted.max_inodes);
  auto reply = session.control().set_size(request);
  if (!reply) return reply.status();
  if (session.json()) {
    print_json(session.out, volume_json(reply->record()));
  } else {
    print_volume(session, reply->record());
  }
  return Status::ok();
}

Status delete_volume(Session& session, const std::string& name, bool force) {
  volume::v1::DeleteVolumeRequest request;
  request.set_name(name);
  request.set_force(force);
  auto reply = session.control().delete_volume(request);
  if (!reply) return reply.status();
  if (session.json()) {
    print_json(session.out, {{"name", name}, {"deleting", true}});
  } else {
    session.out << "volume " << name << " is being deleted\n";
  }
  return Status::ok();
}

std::string check_block_size(const std::string& text) {
  auto bytes = parse_size(text);
  if (!bytes) return bytes.status().message();
  const bool fits = *bytes >= (64u << 10) && *bytes <= (4u << 20) && (*bytes & (*bytes - 1)) == 0;
  return fits ? "" : "wanted a block size of 64KiB, 128KiB, ... 4MiB (a power of two), found '" + text + "'";
}

// Only what can be taken apart: the core server checks keys and values.
std::string check_label(const std::string& label) {
  const size_t equals = label.find('=');
  return equals != std::string::npos && equals > 0 ? "" : "wanted a label KEY=VALUE, found '" + label + "'";
}

std::string check_size(const std::string& text) {
  auto bytes = parse_size(text);
  return bytes ? "" : bytes.status().message();
}

std::string check_new_size(const std::string& text) {
  auto bytes = parse_size(text);
  if (!bytes) return bytes.status().message();
  return *bytes > 0 ? "" : "wanted a size above 0, found '" + text + "'";
}

void add_create(CLI::App& volume, Session& session, Action& chosen) {
  auto wanted = std::make_shared<NewVolume>();
  auto* create = volume.add_subcommand("create", "Makes a volume");
  create->add_option("name", wanted->name, "Name, 1 to 63 of a-z, 0-9, . and -")
      ->required()
      ->type_name("NAME");
  create
      ->add_option("--copies", wanted->copies,
                   "Number of sites with a copy (default: 3, or all if there are fewer)")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  create->add_option("--sites", wanted->sites, "Sites with a copy (default: chosen)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("SITE,...");
  create
      ->add_option("--home", wanted->home,
                   "Site that orders the writes (default: the first of --sites, or the site "
                   "of the server that answers)")
      ->type_name("SITE");
  create
      ->add_option("--ack", wanted->ack,
                   "When a write is acknowledged: after two servers at home (local), or also "
                   "after every site in sync (all)")
      ->check(CLI::IsMember({"local", "all"}))
      ->capture_default_str();
  create
      ->add_option(
          "--size", wanted->size,
          "Size: the quota of its files' bytes (default: none, or the size of the first image imported)")
      ->check(check_size)
      ->type_name("SIZE");
  create
      ->add_option("--max-inodes", wanted->max_inodes,
                   "Quota of files, directories and links together (default: none)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 48))
      ->type_name("N");
  create->add_option("--block-size", wanted->block_size, "Size of a block, 64KiB to 4MiB")
      ->check(check_block_size)
      ->type_name("SIZE")
      ->capture_default_str();
  create
      ->add_option("--groups", wanted->groups, "Number of replica groups that share the blocks (default: 8)")
      ->check(CLI::Range(1, 1024))
      ->type_name("W");
  create->add_flag("--published-only", wanted->published_only,
                   "Only nodes that it is published at may use it (volume publish)");
  create->add_option("--label", wanted->labels, "What is to be remembered of the volume; may be repeated")
      ->check(check_label)
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  create->callback([&session, &chosen, wanted] {
    chosen = [&session, wanted] { return create_volume(session, *wanted); };
  });
}

void add_set_size(CLI::App& volume, Session& session, Action& chosen) {
  auto wanted = std::make_shared<Quotas>();
  auto* command = volume.add_subcommand(
      "set-size", "Sets or raises a volume's size: the quota of its files' bytes; it never gets smaller");
  command->add_option("name", wanted->volume, "Name of the volume")->required()->type_name("NAME");
  command->add_option("size", wanted->size, "The new size")
      ->required()
      ->check(check_new_size)
      ->type_name("SIZE");
  command->callback(
      [&session, &chosen, wanted] { chosen = [&session, wanted] { return set_quotas(session, *wanted); }; });
}

void add_set_quota(CLI::App& volume, Session& session, Action& chosen) {
  auto wanted = std::make_shared<Quotas>();
  auto* command = volume.add_subcommand("set-quota", "Sets a volume's quotas; what is not named stays");
  command->add_option("name", wanted->volume, "Name of the volume")->required()->type_name("NAME");
  auto* quotas = command->add_option_group("quotas");
  quotas->add_option("--size", wanted->size, "Quota of the files' bytes; it never gets smaller")
      ->check(check_new_size)
      ->type_name("SIZE");
  quotas
      ->add_option("--max-inodes", wanted->max_inodes,
                   "Quota of files, directories and links together, also below what there are; 0: none")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 48))
      ->type_name("N");
  quotas->require_option(1, 2);
  command->callback(
      [&session, &chosen, wanted] { chosen = [&session, wanted] { return set_quotas(session, *wanted); }; });
}

}  // namespace

void add_volume_commands(CLI::App& app, Session& session, Action& chosen) {
  auto* volume = app.add_subcommand("volume", "Volumes; SIZE is bytes or takes KiB, MiB, GiB, TiB");
  volume->require_subcommand(1);
  add_create(*volume, session, chosen);

  auto* list = volume->add_subcommand("list", "All volumes");
  list->callback([&] { chosen = [&] { return list_volumes(session); }; });

  auto name = std::make_shared<std::string>();
  auto* show = volume->add_subcommand("show", "One volume and where its groups live");
  show->add_option("name", *name, "Name of the volume")->required()->type_name("NAME");
  show->callback(
      [&session, &chosen, name] { chosen = [&session, name] { return show_volume(session, *name); }; });

  add_set_size(*volume, session, chosen);
  add_set_quota(*volume, session, chosen);
  add_publication_commands(*volume, session, chosen);

  auto* remove = volume->add_subcommand("delete", "Deletes a volume and all its data, for ever");
  remove->add_option("name", *name, "Name of the volume")->required()->type_name("NAME");
  auto force = std::make_shared<bool>(false);
  remove->add_flag("--force", *force, "Also while it is published at nodes, where it may be in use");
  remove->callback([&session, &chosen, name, force] {
    chosen = [&session, name, force] { return delete_volume(session, *name, *force); };
  });

  add_transfer_commands(*volume, session, chosen);
}

}  // namespace shima
