// AccessMembership: what an access server that serves NFS has of the cluster by etcd: its registration, what
// it knows of volumes for published nodes and of core servers, and the site's shared address (R20).
//
// Threads: start(), serve() and the two stops on one thread, in this order; the rest from any. Errors:
// those of EtcdClient::create() and AccessRegistration::start().
#pragma once

#include <functional>
#include <memory>

#include "accessserver/options/access_options.h"
#include "accessserver/server/access_registration.h"
#include "accessserver/server/cluster_volumes.h"
#include "accessserver/server/nfs_service.h"
#include "accessserver/server/published_volumes.h"
#include "accessserver/server/shared_address.h"
#include "accessserver/server/volume_registry.h"
#include "common/etcd/etcd_client.h"
#include "coreserver/cluster/cluster_view.h"

namespace shima {

class AccessMembership {
 public:
  // Nothing happens without etcd.endpoints. All must outlive it.
  AccessMembership(const AccessOptions& options, ClusterVolumes& volumes, VolumeRegistry& registry,
                   NfsService& nfs);
  ~AccessMembership();

  // Registers: the volumes' clients have an identity when it returns. Waits for etcd until ended().
  Status start(const std::function<bool()>& ended);
  // NFS is served: the shared address may be taken.
  void serve();
  // Off the shared address.
  void stop_serving();
  // Nothing is in flight any more: the registration, and the shared address' key, go.
  void leave();

 private:
  Status watch_cluster(const std::function<bool()>& ended);
  Status admit(const VolumeLayout& layout) const;

  const AccessOptions& options_;
  ClusterVolumes& volumes_;
  VolumeRegistry& registry_;
  NfsService& nfs_;
  std::unique_ptr<EtcdClient> etcd_;
  PublishedVolumes published_;
  std::unique_ptr<ClusterView> view_;
  std::unique_ptr<AccessRegistration> registration_;
  std::unique_ptr<SharedAddress> address_;
};

}  // namespace shima
