// shimactl volume publish|unpublish: which nodes may use a volume (R20)
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/record_text.h"
#include "cli/session.h"

namespace shima {
namespace {

struct WantedPublication {
  std::string volume;
  std::string node;
  std::string site;  // empty: the volume's home
  bool read_only = false;
  std::vector<std::string> addresses;
};

Status publish(Session& session, const WantedPublication& wanted) {
  volume::v1::PublishRequest request;
  request.set_name(wanted.volume);
  auto& publication = *request.mutable_publication();
  publication.set_node(wanted.node);
  publication.set_site(wanted.site);
  publication.set_read_only(wanted.read_only);
  for (const std::string& address : wanted.addresses) publication.add_addresses(address);
  if (wanted.site.empty()) {
    volume::v1::GetVolumeRequest which;
    which.set_name(wanted.volume);
    auto found = session.control().get_volume(which);
    if (!found) return found.status();
    publication.set_site(found->record().home());
  }
  auto reply = session.control().publish(request);
  if (!reply) return reply.status();
  const auto& made = reply->publication();
  if (session.json()) {
    print_json(session.out, publication_json(made));
  } else {
    session.out << "volume " << wanted.volume << " is published at node " << made.node() << ", site "
                << made.site() << ", " << (made.read_only() ? "read-only" : "writable") << ": publication "
                << made.id() << '\n';
  }
  return Status::ok();
}

Status unpublish(Session& session, const std::string& volume, const std::string& node) {
  volume::v1::UnpublishRequest request;
  request.set_name(volume);
  request.set_node(node);
  request.set_timeout_ms(static_cast<uint32_t>(session.timeout_ms));
  auto reply = session.control().unpublish(request);
  if (!reply) return reply.status();
  if (session.json()) {
    print_json(session.out, volume_json(reply->record()));
  } else {
    session.out << (node.empty() ? "every node" : "node " + node) << " is fenced from volume " << volume
                << '\n';
  }
  return Status::ok();
}

// Nobody's name means all nodes: that is said by --all.
std::string check_node(const std::string& text) {
  return text.empty() ? "wanted the name of a node, or --all for every node" : "";
}

}  // namespace

void add_publication_commands(CLI::App& volume, Session& session, Action& chosen) {
  auto wanted = std::make_shared<WantedPublication>();
  auto* publish_command =
      volume.add_subcommand("publish", "Lets a node use a volume that was made with --published-only");
  publish_command->add_option("name", wanted->volume, "Name of the volume")->required()->type_name("NAME");
  publish_command->add_option("node", wanted->node, "Name of the node")->required()->type_name("NODE");
  publish_command->add_option("--site", wanted->site, "Site of the node (default: the volume's home)")
      ->type_name("SITE");
  publish_command->add_flag("--read-only", wanted->read_only, "The node may not change anything");
  publish_command
      ->add_option(
          "--address", wanted->addresses,
          "Address that the node's NFS client comes from; may be given several times (default: no NFS)")
      ->allow_extra_args(false)
      ->type_name("ADDRESS");
  publish_command->callback(
      [&session, &chosen, wanted] { chosen = [&session, wanted] { return publish(session, *wanted); }; });

  auto* unpublish_command = volume.add_subcommand(
      "unpublish",
      "Takes a node's publication away; when it returns, nothing of the node is carried out any more");
  unpublish_command->add_option("name", wanted->volume, "Name of the volume")->required()->type_name("NAME");
  auto* whom = unpublish_command->add_option_group("nodes");
  whom->add_option("node", wanted->node, "Name of the node")->type_name("NODE")->check(check_node);
  auto all = std::make_shared<bool>(false);
  whom->add_flag("--all", *all, "All nodes");
  whom->require_option(1);
  unpublish_command->callback([&session, &chosen, wanted, all] {  // `all` lives as long as the option
    chosen = [&session, wanted] { return unpublish(session, wanted->volume, wanted->node); };
  });
}

}  // namespace shima
