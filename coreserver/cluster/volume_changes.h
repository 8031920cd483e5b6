// PURE: what a change makes of a volume's record. VolumeStore carries them out by compare-and-swap.
//
// Every function returns the whole new record with config_version + 1, or the record unchanged (same
// config_version) if there is nothing to change. mod_revision is carried over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

// The newest term in the log of each group that a server found on its disks.
using LoggedTerms = std::map<GroupId, Term>;

// A log with terms that the record does not know tells that etcd was set back: other members may have seen
// even higher ones, in records that this one lacks. So the term is raised by more than there were restarts.
inline constexpr uint64_t kTermsLostWithEtcd = 1'000'000;

// Member `server` has restarted as `incarnation`: it is named in all its groups; where it is primary the term
// goes up (R4), and in any case above the log's, so that a term is never given twice. kStaleTerm: a newer
// incarnation is named already, so this one must not act.
Result<VolumeInfo> with_restart(const VolumeInfo& volume, ServerId server, Incarnation incarnation,
                                const LoggedTerms& logged = {});

// The primary of `term` says what a remote member is (R7, R12), on the record of version `based_on`: on a
// later one, what it promised to wait for may be trimmed already. Always raises config_version, also when
// nothing else changes, so that an older proposal which is still on its way can never be carried out.
// kStaleTerm: another term or version. kInvalidArgument: no such group or member, or it is not a remote.
Result<VolumeInfo> with_membership(const VolumeInfo& volume, GroupIndex group, Term term,
                                   ConfigVersion based_on, ServerId server, bool whole, bool in_sync);

// One such wish.
struct MembershipChange {
  GroupIndex group;
  Term term;
  ConfigVersion based_on;
  ServerId server;
  bool whole = true;
  bool in_sync = true;
};

// Several wishes of groups by one change of the record. Those that with_membership() would refuse are left
// out; if that is all of them, the first one's error.
Result<VolumeInfo> with_memberships(const VolumeInfo& volume, const std::vector<MembershipChange>& changes);

// The quotas. `size_bytes` 0: it stays as it is; kInvalidArgument: it would get smaller. `max_inodes`: any;
// nullopt: it stays as it is.
Result<VolumeInfo> with_quotas(const VolumeInfo& volume, uint64_t size_bytes,
                               std::optional<uint64_t> max_inodes = {});

// Lets `wanted`.node use the volume (R20): under a new id, or under the one that it has, with what else is
// wanted now of site and addresses (the node has moved; its mounts stay what they are). wanted.id is not
// looked at, since_ms counts for a new one only. kAlreadyExists: it is published with another read_only;
// kFailedPrecondition: the volume is not published_only, is being deleted, or has too many publications;
// kInvalidArgument.
Result<VolumeInfo> with_publication(const VolumeInfo& volume, const PublicationInfo& wanted);
// Takes the node's publication away; all of them if `node` is empty. No change if there is none.
Result<VolumeInfo> without_publication(const VolumeInfo& volume, const std::string& node);

// kFailedPrecondition, naming up to ten nodes: it is published, so somebody may be using it; not with
// `force`.
Result<VolumeInfo> with_deleting(const VolumeInfo& volume, bool force);

// `server` has dropped the volume's data. kFailedPrecondition if the volume is not being deleted.
Result<VolumeInfo> with_dropped(const VolumeInfo& volume, ServerId server);
bool everyone_dropped(const VolumeInfo& volume);  // all member servers are in dropped_by

}  // namespace shima
