// PURE: what the answers of core servers mean.
//
// Sources: ClusterService.GetStatus and ListServers, VolumeService.ListVolumes, ReplicationService.ShowGroups
// (api/shima).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "operator/core_view/core_snapshot.h"
#include "shima/cluster/v1/cluster.pb.h"
#include "shima/replication/v1/replication.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

HealthView health_from(const Result<cluster::v1::GetStatusReply>& status);

// By name. `status`: for the reasons; `copies`: by volume, as far as known.
std::vector<VolumeView> volumes_from(const std::vector<volume::v1::VolumeSummary>& volumes,
                                     const cluster::v1::GetStatusReply& status,
                                     const std::map<std::string, VolumeCopies>& copies);

// Adds what one server says of the groups that it is the primary of. Returns how many these are.
uint32_t add_groups(const replication::v1::ShowGroupsReply& reply, VolumeCopies& copies);

// HOST:PORT of the control planes of the servers of a site that hold their lease.
std::vector<std::string> control_endpoints(const std::vector<cluster::v1::ServerState>& servers,
                                           const std::string& site);

// {volume, node}: the publications that nodes out of service still have.
std::vector<std::pair<std::string, std::string>> publications_to_take(const std::vector<VolumeView>& volumes,
                                                                      const std::vector<std::string>& nodes);

}  // namespace shima
