// ClusterView: the newest known state of the cluster, kept current by one watch on etcd.
//
// Threads: all methods from any thread; a snapshot stays valid as long as it is held. The callback runs on
// the watch's thread, after snapshot() shows the change; it must not destroy the view and should only post to
// an event loop.
// While etcd is away the last state goes on being served; stale_ms() tells for how long nothing was heard.
// A record that cannot be read (wrong magic, version or content) never replaces a readable one: the last good
// one stays, and ClusterState::unreadable says why.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

struct ClusterChange {
  std::shared_ptr<const ClusterState> state;
  std::vector<std::string> volumes;  // names of those added, changed or gone
  bool sites_changed = false;
  bool servers_changed = false;  // records or liveness
  bool access_changed = false;   // access servers' registrations
};

class ClusterView {
 public:
  using OnChange = std::function<void(const ClusterChange&)>;

  // Lists everything once (an unreachable etcd is an error here), then watches. `etcd` must outlive the view.
  // The state that was listed is in snapshot(); the callback tells what comes after.
  static Result<std::unique_ptr<ClusterView>> start(EtcdClient& etcd, OnChange on_change);
  virtual ~ClusterView() = default;

  virtual std::shared_ptr<const ClusterState> snapshot() const = 0;
  virtual uint64_t stale_ms() const = 0;  // since etcd was last heard of; about 2 s and less are normal
  // Waits until the snapshot contains `revision` (of a change below kClusterPrefix: no others are seen), and
  // the callback that told of it has returned: to see one's own change. kDeadlineExceeded if it does not in
  // time.
  virtual Status wait_for(EtcdRevision revision, uint32_t timeout_ms) const = 0;
};

}  // namespace shima
