// ControlClient: calls to the control plane (gRPC) of a cluster through any of several core servers.
//
// Endpoints are tried in order, beginning with the one that answered last; a server that is not there, or
// says that it is unavailable, is passed over. A change (create, delete, set size, add site) is never sent
// twice: when the connection breaks after it was sent, the answer is kDeadlineExceeded, "the outcome is
// unknown". When nobody answers: kUnavailable, with the reason for each endpoint. Threads: may be used from
// any number at a time; calls block until answered or out of time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "shima/cluster/v1/cluster.pb.h"
#include "shima/replication/v1/replication.pb.h"
#include "shima/stats/v1/stats.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

struct ControlClientOptions {
  std::vector<std::string> endpoints;  // host:port, [v6]:port; at least one
  int timeout_ms = 10000;              // of one call, over all endpoints
  int connect_timeout_ms = 2000;       // of one endpoint
};

class ControlClient {
 public:
  explicit ControlClient(ControlClientOptions options);
  ~ControlClient();
  ControlClient(ControlClient&&) noexcept;

  // The endpoint that gave the last answer; empty before the first.
  std::string answered_by() const;

  Result<volume::v1::CreateVolumeReply> create_volume(const volume::v1::CreateVolumeRequest& request);
  Result<volume::v1::DeleteVolumeReply> delete_volume(const volume::v1::DeleteVolumeRequest& request);
  Result<volume::v1::GetVolumeReply> get_volume(const volume::v1::GetVolumeRequest& request);
  Result<volume::v1::ListVolumesReply> list_volumes(const volume::v1::ListVolumesRequest& request);
  Result<volume::v1::SetSizeReply> set_size(const volume::v1::SetSizeRequest& request);

  Result<cluster::v1::GetStatusReply> get_status(const cluster::v1::GetStatusRequest& request);
  Result<cluster::v1::ListSitesReply> list_sites(const cluster::v1::ListSitesRequest& request);
  Result<cluster::v1::AddSiteReply> add_site(const cluster::v1::AddSiteRequest& request);
  Result<cluster::v1::ListServersReply> list_servers(const cluster::v1::ListServersRequest& request);

  Result<replication::v1::ShowGroupsReply> show_groups(const replication::v1::ShowGroupsRequest& request);
  Result<stats::v1::GetStatsReply> get_stats(const stats::v1::GetStatsRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
