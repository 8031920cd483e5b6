// CoreServers: what the operator asks of a cluster's core servers, as an interface, so that tests put a fake
// here.
//
// Threads: one at a time. Calls block, at most 4 s, since a stop of the operator waits for the one in
// progress. Errors: those of coreserver/rpc/control_client.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "shima/cluster/v1/cluster.pb.h"
#include "shima/replication/v1/replication.pb.h"
#include "shima/stats/v1/stats.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

class CoreServers {
 public:
  virtual ~CoreServers() = default;

  // Any server that answers.
  virtual Result<cluster::v1::GetStatusReply> get_status() = 0;
  virtual Result<std::vector<volume::v1::VolumeSummary>> list_volumes() = 0;
  virtual Result<std::vector<cluster::v1::ServerState>> list_servers() = 0;
  virtual Status unpublish(const std::string& volume, const std::string& node) = 0;
  // The one at `endpoint`.
  virtual Result<replication::v1::ShowGroupsReply> show_groups(const std::string& endpoint,
                                                               const std::string& volume) = 0;
  virtual Result<stats::v1::GetStatsReply> get_stats(const std::string& endpoint) = 0;
};

// By gRPC. `endpoints`: control planes, HOST:PORT, in the order in which they are tried.
std::unique_ptr<CoreServers> make_core_servers(const std::vector<std::string>& endpoints);

}  // namespace shima
