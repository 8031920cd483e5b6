#include "coreserver/cluster/volume_changes.h"

#include <algorithm>

#include "coreserver/cluster/records.h"

namespace shima {
namespace {

VolumeInfo raised(VolumeInfo volume) {
  volume.config_version = volume.config_version.next();
  return volume;
}

std::string of(const VolumeInfo& volume) { return "volume " + volume.name; }

constexpr size_t kNamedNodes = 10;

// Up to ten of them.
std::string nodes_of(const std::vector<PublicationInfo>& publications) {
  std::string text;
  for (size_t i = 0; i < std::min(publications.size(), kNamedNodes); ++i)
    text += (i ? ", " : "") + publications[i].node;
  if (publications.size() > kNamedNodes)
    text += " and " + std::to_string(publications.size() - kNamedNodes) + " more";
  return text;
}

// As external-provisioner tells it and the CSI controller keeps it; empty: a volume of no claim.
std::string claim_of(const VolumeInfo& volume) {
  const auto name = volume.labels.find("csi.storage.k8s.io/pvc/name");
  const auto name_space = volume.labels.find("csi.storage.k8s.io/pvc/namespace");
  if (name == volume.labels.end() || name_space == volume.labels.end()) return "";
  return " (claim " + name_space->second + "/" + name->second + ")";
}

}  // namespace

Result<VolumeInfo> with_restart(const VolumeInfo& volume, ServerId server, Incarnation incarnation,
                                const LoggedTerms& logged) {
  VolumeInfo next = volume;
  bool changed = false;
  for (GroupInfo& group : next.groups) {
    for (MemberInfo& m : group.members) {
      if (m.server != server || m.incarnation == incarnation) continue;
      if (m.incarnation > incarnation) {
        return {Code::kStaleTerm, of(volume) + ": server " + std::to_string(server.value) +
                                      " wants to act as incarnation " + std::to_string(incarnation.value) +
                                      ", but incarnation " + std::to_string(m.incarnation.value) +
                                      " is named already; the older process must end"};
      }
      m.incarnation = incarnation;
      const auto newest = logged.find({volume.id, group.index});
      if (newest != logged.end() && newest->second > group.term)
        group.term = Term(newest->second.value + kTermsLostWithEtcd);
      if (m.role == replication::Role::kPrimary) group.term = group.term.next();
      changed = true;
    }
  }
  return changed ? raised(std::move(next)) : volume;
}

Result<VolumeInfo> with_membership(const VolumeInfo& volume, GroupIndex group, Term term,
                                   ConfigVersion based_on, ServerId server, bool whole, bool in_sync) {
  if (group.value >= volume.groups.size()) {
    return {Code::kInvalidArgument, of(volume) + " has no group " + std::to_string(group.value) +
                                        ", only 0 to " + std::to_string(volume.groups.size() - 1)};
  }
  VolumeInfo next = volume;
  GroupInfo& g = next.groups[group.value];
  if (g.term != term) {
    return {Code::kStaleTerm, of(volume) + ": group " + std::to_string(group.value) + " is in term " +
                                  std::to_string(g.term.value) + ", the change was asked for in term " +
                                  std::to_string(term.value) + "; read the record again"};
  }
  auto it = std::find_if(g.members.begin(), g.members.end(),
                         [&](const MemberInfo& m) { return m.server == server; });
  if (it == g.members.end() || it->role != replication::Role::kRemote) {
    return {Code::kInvalidArgument, of(volume) + ": server " + std::to_string(server.value) +
                                        " is not a remote member of group " + std::to_string(group.value)};
  }
  if (volume.config_version != based_on) {
    return {Code::kStaleTerm, of(volume) + ": its record has version " +
                                  std::to_string(volume.config_version.value) +
                                  ", the change was asked for on version " + std::to_string(based_on.value) +
                                  "; the primary decides again"};
  }
  it->whole = whole;
  it->in_sync = in_sync;
  return raised(std::move(next));
}

Result<VolumeInfo> with_memberships(const VolumeInfo& volume, const std::vector<MembershipChange>& changes) {
  VolumeInfo next = volume;
  Status refused(Code::kInvalidArgument, of(volume) + ": no change of membership was asked for");
  bool first = true;
  for (const MembershipChange& c : changes) {
    VolumeInfo same_version = next;
    same_version.config_version = volume.config_version;  // all are changes of the record as it stands
    auto with = with_membership(same_version, c.group, c.term, c.based_on, c.server, c.whole, c.in_sync);
    if (with) next = std::move(*with);
    if (!with && first) refused = with.status();
    first = false;
  }
  if (next.config_version == volume.config_version) return refused;
  return next;
}

Result<VolumeInfo> with_quotas(const VolumeInfo& volume, uint64_t size_bytes,
                               std::optional<uint64_t> max_inodes) {
  if (volume.deleting)
    return {Code::kFailedPrecondition, of(volume) + " is being deleted; its size cannot change"};
  const uint64_t size = size_bytes ? size_bytes : volume.size_bytes;
  if (size < volume.size_bytes) {
    return {Code::kInvalidArgument, of(volume) + " has " + std::to_string(volume.size_bytes) +
                                        " bytes and cannot shrink to " + std::to_string(size_bytes)};
  }
  const uint64_t inodes = max_inodes.value_or(volume.max_inodes);
  if (size == volume.size_bytes && inodes == volume.max_inodes) return volume;
  VolumeInfo next = raised(volume);
  next.size_bytes = size;
  next.max_inodes = inodes;
  return next;
}

Result<VolumeInfo> with_publication(const VolumeInfo& volume, const PublicationInfo& wanted) {
  SHIMA_RETURN_IF_ERROR(check_publication(wanted).with_context(of(volume)));
  if (volume.deleting) return {Code::kFailedPrecondition, of(volume) + " is being deleted"};
  if (!volume.published_only) {
    return {Code::kFailedPrecondition,
            of(volume) + " may be used by every client; only one made with published_only is published"};
  }
  VolumeInfo next = raised(volume);
  auto at = std::lower_bound(next.publications.begin(), next.publications.end(), wanted.node,
                             [](const PublicationInfo& p, const std::string& node) { return p.node < node; });
  if (at != next.publications.end() && at->node == wanted.node) {
    if (at->read_only != wanted.read_only) {
      return {Code::kAlreadyExists, of(volume) + " is published at node " + wanted.node + " as " +
                                        (at->read_only ? "read-only" : "writable") +
                                        "; take that publication away first"};
    }
    if (at->site == wanted.site && at->addresses == wanted.addresses) return volume;
    at->site = wanted.site;
    at->addresses = wanted.addresses;
    return next;
  }
  if (volume.publications.size() >= kMaxPublications) {
    return {Code::kFailedPrecondition, of(volume) + " is published at " + std::to_string(kMaxPublications) +
                                           " nodes already, which is the limit"};
  }
  at = next.publications.insert(at, wanted);
  at->id = next.config_version.value;
  return next;
}

Result<VolumeInfo> without_publication(const VolumeInfo& volume, const std::string& node) {
  VolumeInfo next = raised(volume);
  const size_t taken = std::erase_if(
      next.publications, [&](const PublicationInfo& p) { return node.empty() || p.node == node; });
  return taken ? next : volume;
}

Result<VolumeInfo> with_deleting(const VolumeInfo& volume, bool force) {
  if (volume.deleting) return volume;
  if (!force && !volume.publications.empty()) {
    return {Code::kFailedPrecondition, of(volume) + claim_of(volume) + " is published at " +
                                           nodes_of(volume.publications) +
                                           " and may be in use there; wanted it unpublished. End its use, "
                                           "and unpublish it (shimactl volume unpublish " +
                                           volume.name + " NODE); or delete it with --force"};
  }
  VolumeInfo next = raised(volume);
  next.deleting = true;
  return next;
}

Result<VolumeInfo> with_dropped(const VolumeInfo& volume, ServerId server) {
  if (!volume.deleting) {
    return {Code::kFailedPrecondition, of(volume) + " is not being deleted; nobody may drop its data"};
  }
  const auto& dropped = volume.dropped_by;
  if (std::find(dropped.begin(), dropped.end(), server) != dropped.end()) return volume;
  VolumeInfo next = raised(volume);
  next.dropped_by.push_back(server);
  std::sort(next.dropped_by.begin(), next.dropped_by.end());
  return next;
}

bool everyone_dropped(const VolumeInfo& volume) {
  for (ServerId server : volume.member_servers()) {
    if (std::find(volume.dropped_by.begin(), volume.dropped_by.end(), server) == volume.dropped_by.end())
      return false;
  }
  return volume.deleting;
}

}  // namespace shima
