// ControlPlane: what the CSI driver asks of a cluster: calls of coreserver/rpc/control_client.h, as an
// interface, so that tests put a fake here.
//
// Threads: any number at a time; calls block, at most for both times of the options (unpublish() longer).
// Errors: those of ControlClient. A call that changes something and gets no answer is kDeadlineExceeded: it
// may have been made; every call here may be made again, and is, while `patience_ms` last.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "shima/cluster/v1/cluster.pb.h"
#include "shima/stats/v1/stats.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

class ControlPlane {
 public:
  virtual ~ControlPlane() = default;

  virtual Result<cluster::v1::VolumeRecord> create_volume(const volume::v1::CreateVolumeRequest& request) = 0;
  virtual Status delete_volume(const std::string& name) = 0;
  // As it stands in etcd, not as some core server saw it last: what is decided by it must not rest on an old
  // view. kNotFound also for one that is being deleted.
  virtual Result<cluster::v1::VolumeRecord> read_volume(const std::string& name) = 0;
  virtual Result<std::vector<volume::v1::VolumeSummary>> list_volumes() = 0;  // by name
  virtual Result<cluster::v1::VolumeRecord> set_size(const std::string& name, uint64_t size_bytes) = 0;
  virtual Result<volume::v1::PublishReply> publish(const std::string& name,
                                                   const cluster::v1::Publication& publication) = 0;
  // `node` empty: all.
  virtual Status unpublish(const std::string& name, const std::string& node) = 0;

  virtual Result<cluster::v1::GetStatusReply> get_status() = 0;
  virtual Result<std::vector<cluster::v1::SiteRecord>> list_sites() = 0;
  virtual Result<std::vector<cluster::v1::ServerState>> list_servers() = 0;
  // Of the one core server whose control plane is at HOST:PORT.
  virtual Result<stats::v1::GetStatsReply> get_stats_of(const std::string& endpoint) = 0;
};

struct ControlPlaneOptions {
  std::vector<std::string> endpoints;  // host:port, [v6]:port; at least one
  int timeout_ms = 10'000;             // of one call, over all endpoints
  int patience_ms = 0;                 // a call that failed for the moment is made again until then
};

std::unique_ptr<ControlPlane> make_control_plane(const ControlPlaneOptions& options);

}  // namespace shima
