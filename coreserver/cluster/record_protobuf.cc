#include "coreserver/cluster/record_protobuf.h"

#include <set>

#include "common/types/record.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

namespace v1 = cluster::v1;
using replication::AckMode;
using replication::Role;

Status corrupt(std::string what) { return {Code::kCorrupt, std::move(what)}; }

void fill(const NetworkEndpoint& from, v1::Endpoint& to) {
  to.set_address(from.address);
  to.set_port(from.port);
}

Result<NetworkEndpoint> endpoint_from(const v1::Endpoint& e) {
  if (e.port() > 65535) return corrupt("found port " + std::to_string(e.port()) + ", wanted at most 65535");
  return NetworkEndpoint{e.address(), static_cast<uint16_t>(e.port())};
}

v1::MemberRole record_role(Role role) { return static_cast<v1::MemberRole>(role); }
static_assert(static_cast<int>(Role::kPrimary) == v1::MEMBER_ROLE_PRIMARY);
static_assert(static_cast<int>(Role::kSecondary) == v1::MEMBER_ROLE_SECONDARY);
static_assert(static_cast<int>(Role::kRemote) == v1::MEMBER_ROLE_REMOTE);
static_assert(static_cast<int>(AckMode::kLocal) == v1::ACK_MODE_LOCAL);
static_assert(static_cast<int>(AckMode::kAll) == v1::ACK_MODE_ALL);

Result<GroupInfo> group_from(const v1::Group& record) {
  GroupInfo group;
  group.index = GroupIndex(record.index());
  group.term = Term(record.term());
  const std::string where = "group " + std::to_string(record.index());
  std::set<uint64_t> servers;
  int primaries = 0, secondaries = 0;
  for (const v1::Member& m : record.members()) {
    if (m.server_id() == 0 || !servers.insert(m.server_id()).second) {
      return corrupt(where + " names server " + std::to_string(m.server_id()) + " wrongly or twice");
    }
    if (m.role() < v1::MEMBER_ROLE_PRIMARY || m.role() > v1::MEMBER_ROLE_REMOTE) {
      return corrupt(where + " has a member of role " + std::to_string(m.role()) + ", which is not known");
    }
    primaries += m.role() == v1::MEMBER_ROLE_PRIMARY;
    secondaries += m.role() == v1::MEMBER_ROLE_SECONDARY;
    group.members.push_back({ServerId(m.server_id()), Incarnation(m.incarnation()),
                             static_cast<Role>(m.role()), m.whole(), m.in_sync(), m.site()});
  }
  if (primaries > 1 || secondaries > 1) return corrupt(where + " has more than one primary or secondary");
  if (group.term.value == 0) return corrupt(where + " has no term");
  group.metadata = record.metadata();
  return group;
}

Status check_publications(const v1::VolumeRecord& r) {
  if (r.publications_size() > 0 && !r.published_only())
    return corrupt("there are publications, but no published_only");
  if (static_cast<size_t>(r.publications_size()) > kMaxPublications) {
    return corrupt("found " + std::to_string(r.publications_size()) + " publications, wanted at most " +
                   std::to_string(kMaxPublications));
  }
  std::set<uint64_t> ids;
  for (int i = 0; i < r.publications_size(); ++i) {
    const v1::Publication& p = r.publications(i);
    if (Status good = check_publication(publication_from(p)); !good) return corrupt(good.message());
    if (i > 0 && r.publications(i - 1).node() >= p.node())
      return corrupt("the publications are not in the order of their nodes, each once");
    if (p.id() == 0 || p.id() > r.config_version() || !ids.insert(p.id()).second) {
      return corrupt("node " + p.node() + " has publication " + std::to_string(p.id()) +
                     ", wanted one of its own from 1 to " + std::to_string(r.config_version()));
    }
  }
  return Status::ok();
}

Status check_label_order(const v1::VolumeRecord& r) {
  for (int i = 1; i < r.labels_size(); ++i) {
    if (r.labels(i - 1).key() >= r.labels(i).key())
      return corrupt("the labels are not in the order of their keys, each once");
  }
  return Status::ok();
}

Status check_volume(const v1::VolumeRecord& r) {
  SHIMA_RETURN_IF_ERROR(check_volume_name(r.name()));
  if (r.volume_id() == 0) return corrupt("volume_id is missing");
  if (r.ack() != v1::ACK_MODE_LOCAL && r.ack() != v1::ACK_MODE_ALL) {
    return corrupt("found ack " + std::to_string(r.ack()) + ", wanted ACK_MODE_LOCAL or ACK_MODE_ALL");
  }
  uint32_t size = r.block_size();
  if (size < kMinBlockSize || size > kMaxBlockSize || (size & (size - 1)) != 0) {
    return corrupt("found block_size " + std::to_string(size) +
                   ", wanted a power of two from 65536 to 4194304");
  }
  if (r.sites().empty() || r.sites(0) != r.home()) return corrupt("the home is not the first of the sites");
  if (r.groups().empty()) return corrupt("there are no groups");
  for (int i = 0; i < r.groups_size(); ++i) {
    if (r.groups(i).index() != static_cast<uint32_t>(i)) return corrupt("the groups are not numbered from 0");
    if (r.groups(i).metadata() && (i == 0 || i + 1 != r.groups_size()))
      return corrupt("group " + std::to_string(i) + " is the metadata group but not the last of several");
  }
  SHIMA_RETURN_IF_ERROR(check_label_order(r));
  return check_publications(r);
}

}  // namespace

v1::SiteRecord to_record(const SiteInfo& site) {
  v1::SiteRecord r;
  r.set_magic("shima-site");
  r.set_version(kRecordVersion);
  r.set_name(site.name);
  for (const auto& [key, value] : site.labels) (*r.mutable_labels())[key] = value;
  for (const auto& cidr : site.cidrs) r.add_cidrs(cidr);
  return r;
}

v1::ServerRecord to_record(const ServerInfo& server) {
  v1::ServerRecord r;
  r.set_magic("shima-server");
  r.set_version(kRecordVersion);
  r.set_name(server.name);
  r.set_server_id(server.id.value);
  r.set_site(server.site);
  r.set_failure_domain(server.failure_domain);
  r.set_incarnation(server.incarnation.value);
  fill(server.networks.client, *r.mutable_networks()->mutable_client());
  fill(server.networks.storage, *r.mutable_networks()->mutable_storage());
  fill(server.networks.wan, *r.mutable_networks()->mutable_wan());
  fill(server.networks.control, *r.mutable_networks()->mutable_control());
  r.set_disk_total_bytes(server.disk_total_bytes);
  return r;
}

v1::VolumeRecord to_record(const VolumeInfo& volume) {
  v1::VolumeRecord r;
  r.set_magic("shima-volume");
  r.set_version(kRecordVersion);
  r.set_name(volume.name);
  r.set_volume_id(volume.id.value);
  r.set_life(volume.life);
  r.set_home(volume.home);
  for (const auto& site : volume.sites) r.add_sites(site);
  r.set_ack(static_cast<v1::AckMode>(volume.ack));
  r.set_block_size(volume.block_size);
  r.set_size_bytes(volume.size_bytes);
  r.set_max_inodes(volume.max_inodes);
  for (const GroupInfo& g : volume.groups) {
    v1::Group* group = r.add_groups();
    group->set_index(g.index.value);
    group->set_term(g.term.value);
    group->set_metadata(g.metadata);
    for (const MemberInfo& m : g.members) {
      v1::Member* member = group->add_members();
      member->set_server_id(m.server.value);
      member->set_incarnation(m.incarnation.value);
      member->set_role(record_role(m.role));
      member->set_whole(m.whole);
      member->set_in_sync(m.in_sync);
      member->set_site(m.site);
    }
  }
  r.set_config_version(volume.config_version.value);
  r.set_deleting(volume.deleting);
  for (ServerId server : volume.dropped_by) r.add_dropped_by(server.value);
  r.set_published_only(volume.published_only);
  for (const PublicationInfo& p : volume.publications) *r.add_publications() = to_record(p);
  add_labels(volume.labels, *r.mutable_labels());
  return r;
}

v1::DisksRecord to_record(const ServerDisks& disks) {
  v1::DisksRecord r;
  r.set_name(disks.name);
  for (const KnownDisk& disk : disks.disks) {
    auto& out = *r.add_disks();
    out.set_disk_id(disk.id);
    out.set_path(disk.path);
    out.set_since_ms(disk.since_ms);
  }
  for (const ForgottenDiskInfo& disk : disks.forgotten) {
    auto& out = *r.add_forgotten();
    out.set_disk_id(disk.id);
    out.set_forgotten_ms(disk.when_ms);
  }
  return r;
}

void add_labels(const std::map<std::string, std::string>& labels,
                google::protobuf::RepeatedPtrField<v1::Label>& out) {
  for (const auto& [key, value] : labels) {
    v1::Label& label = *out.Add();
    label.set_key(key);
    label.set_value(value);
  }
}

v1::Publication to_record(const PublicationInfo& p) {
  v1::Publication r;
  r.set_node(p.node);
  r.set_id(p.id);
  r.set_site(p.site);
  r.set_read_only(p.read_only);
  for (const std::string& address : p.addresses) r.add_addresses(address);
  r.set_since_ms(p.since_ms);
  return r;
}

Result<SiteInfo> site_from(const v1::SiteRecord& r) {
  SHIMA_RETURN_IF_ERROR(check_site_name(r.name()));
  SiteInfo site;
  site.name = r.name();
  site.labels = {r.labels().begin(), r.labels().end()};
  site.cidrs = {r.cidrs().begin(), r.cidrs().end()};
  return site;
}

Result<ServerInfo> server_from(const v1::ServerRecord& r) {
  SHIMA_RETURN_IF_ERROR(check_server_name(r.name(), r.site()));
  if (r.server_id() == 0 || r.incarnation() == 0) return corrupt("server_id or incarnation is missing");
  ServerInfo server;
  server.id = ServerId(r.server_id());
  server.name = r.name();
  server.site = r.site();
  server.failure_domain = r.failure_domain();
  server.incarnation = Incarnation(r.incarnation());
  server.disk_total_bytes = r.disk_total_bytes();
  const v1::Networks& n = r.networks();
  for (auto [from, to] :
       {std::pair{&n.client(), &server.networks.client}, std::pair{&n.storage(), &server.networks.storage},
        std::pair{&n.wan(), &server.networks.wan}, std::pair{&n.control(), &server.networks.control}}) {
    Result<NetworkEndpoint> endpoint = endpoint_from(*from);
    if (!endpoint) return endpoint.status();
    *to = *endpoint;
  }
  return server;
}

Result<VolumeInfo> volume_from(const v1::VolumeRecord& r) {
  SHIMA_RETURN_IF_ERROR(check_volume(r));
  VolumeInfo volume;
  volume.name = r.name();
  volume.id = VolumeId(r.volume_id());
  volume.life = r.life();
  volume.home = r.home();
  volume.sites = {r.sites().begin(), r.sites().end()};
  volume.ack = static_cast<AckMode>(r.ack());
  volume.block_size = r.block_size();
  volume.size_bytes = r.size_bytes();
  volume.max_inodes = r.max_inodes();
  for (const v1::Group& g : r.groups()) {
    Result<GroupInfo> group = group_from(g);
    if (!group) return group.status();
    volume.groups.push_back(std::move(*group));
  }
  volume.config_version = ConfigVersion(r.config_version());
  volume.deleting = r.deleting();
  for (uint64_t server : r.dropped_by()) volume.dropped_by.push_back(ServerId(server));
  volume.published_only = r.published_only();
  for (const v1::Publication& p : r.publications()) volume.publications.push_back(publication_from(p));
  Result<std::map<std::string, std::string>> labels = labels_from(r.labels());
  if (!labels) return corrupt(labels.status().message());
  volume.labels = std::move(*labels);
  return volume;
}

PublicationInfo publication_from(const v1::Publication& r) {
  return {r.node(),    r.id(), r.site(), r.read_only(), {r.addresses().begin(), r.addresses().end()},
          r.since_ms()};
}

Result<std::map<std::string, std::string>> labels_from(
    const google::protobuf::RepeatedPtrField<v1::Label>& labels) {
  std::map<std::string, std::string> by_key;
  for (const v1::Label& label : labels) {
    if (by_key.emplace(label.key(), label.value()).second) continue;
    return Status(Code::kInvalidArgument, "a label's key is there twice; give each key once");
  }
  SHIMA_RETURN_IF_ERROR(check_labels(by_key));
  return by_key;
}

}  // namespace shima
