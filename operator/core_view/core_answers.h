// PURE: what the answers of core servers mean.
//
// Sources: ClusterService.GetStatus and ListServers, VolumeService.ListVolumes,
// ReplicationService.ShowGroups, StatsService.GetStats (api/shima).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "operator/core_view/core_snapshot.h"
#include "shima/cluster/v1/cluster.pb.h"
#include "shima/replication/v1/replication.pb.h"
#include "shima/stats/v1/stats.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

HealthView health_from(const Result<cluster::v1::GetStatusReply>& status);

// What is known of a volume's copies.
struct KnownCopies {
  std::optional<VolumeCopies> last;
  uint64_t silent_since_ms = 0;  // nobody tells since; 0: somebody does
  bool old = false;              // VolumeView::copies_are_old
};

// By name. `status`: for the reasons; `copies`: by volume, of those that were asked about.
std::vector<VolumeView> volumes_from(const std::vector<volume::v1::VolumeSummary>& volumes,
                                     const cluster::v1::GetStatusReply& status,
                                     const std::map<std::string, KnownCopies>& copies);

// Adds what one server says of the groups that it is the primary of, but for those that were `told` before,
// by their number: while a primary changes, two may say that they are it.
void add_groups(const replication::v1::ShowGroupsReply& reply, VolumeCopies& copies,
                std::set<uint32_t>& told);
// Whether these are all groups of the volume.
bool are_all_groups(const std::set<uint32_t>& told, const volume::v1::VolumeSummary& volume);

// `version`: what the server runs; empty: from before 0.1.0. All since then tell of their groups, unless
// these do not answer. A number that is missing is one that an older server does not know: 0.
ServerReplication replication_from(const std::string& server, const std::string& version,
                                   const Result<stats::v1::GetStatsReply>& stats);

// HOST:PORT of its control plane; empty: it has no lease, or has not told.
std::string control_endpoint(const cluster::v1::ServerState& server);
// HOST:PORT of the control planes of the servers of a site that hold their lease.
std::vector<std::string> control_endpoints(const std::vector<cluster::v1::ServerState>& servers,
                                           const std::string& site);

// {volume, node}: the publications that nodes out of service still have.
std::vector<std::pair<std::string, std::string>> publications_to_take(const std::vector<VolumeView>& volumes,
                                                                      const std::vector<std::string>& nodes);

}  // namespace shima
