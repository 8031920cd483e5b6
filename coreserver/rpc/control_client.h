// ControlClient: calls to the control plane (gRPC) of a cluster through any of several core servers.
//
// Endpoints are tried in order, beginning with the one that answered last; a server that is not there, or
// says that it is unavailable, is passed over. A change (create, delete, set size, add site) is never sent
// twice: when the connection breaks after it was sent, the answer is kDeadlineExceeded, "the outcome is
// unknown". When nobody answers: kUnavailable, with the reason for each endpoint. Threads: may be used from
// any number at a time; calls block until answered or out of time.
//
// wait_for_revision() is for those who must hear each server (R20), not any of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "shima/cluster/v1/cluster.pb.h"
#include "shima/cluster/v1/disks.pb.h"
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

  // unpublish() may be sent again; its timeout_ms is on top of the client's.
  Result<volume::v1::PublishReply> publish(const volume::v1::PublishRequest& request);
  Result<volume::v1::UnpublishReply> unpublish(const volume::v1::UnpublishRequest& request);

  Result<cluster::v1::GetStatusReply> get_status(const cluster::v1::GetStatusRequest& request);
  Result<cluster::v1::ListSitesReply> list_sites(const cluster::v1::ListSitesRequest& request);
  Result<cluster::v1::AddSiteReply> add_site(const cluster::v1::AddSiteRequest& request);
  Result<cluster::v1::ListServersReply> list_servers(const cluster::v1::ListServersRequest& request);
  Result<cluster::v1::ListDisksReply> list_disks(const cluster::v1::ListDisksRequest& request);
  Result<cluster::v1::ForgetDiskReply> forget_disk(const cluster::v1::ForgetDiskRequest& request);

  Result<replication::v1::ShowGroupsReply> show_groups(const replication::v1::ShowGroupsRequest& request);
  Result<stats::v1::GetStatsReply> get_stats(const stats::v1::GetStatsRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Asks the one core server at `endpoint` (host:port of its control port, [v6]:port) to act on etcd's state at
// `revision` or a later one; blocks until it says so. The reply names the server: a caller that means a
// certain one compares. The caller's limit is `timeout_ms` in all (100 to 30000), of which
// `connect_timeout_ms` at most to connect; `committed_volume` is the request's (cluster.proto). May be called
// again after any error: kUnavailable (not there, or not joined yet), kDeadlineExceeded (does not act on it
// yet, or said nothing).
Result<cluster::v1::WaitForRevisionReply> wait_for_revision(const std::string& endpoint, int64_t revision,
                                                            int timeout_ms, int connect_timeout_ms = 2000,
                                                            uint64_t committed_volume = 0);

}  // namespace shima
