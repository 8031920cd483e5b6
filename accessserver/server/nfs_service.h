// NfsService: NFS on this server's own address and, while it is here, on the site's shared address, for the
// volumes of a registry.
//
// When the server's identity changes (AccessRegistration), nothing that came in under the old one may be
// carried out under the new one: a request may lie unread in a socket, while its client has long since gone
// on at another server (R20). So the listeners and all connections are closed, what is in flight ends without
// a result, and all begins anew; clients connect again and repeat what was not answered. Threads: all methods
// from any thread, but not from a loop of NFS or of a volume; they take as long as what is in flight. Errors:
// as NfsServer::open().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "accessserver/nfs/nfs_server.h"
#include "accessserver/server/cluster_volumes.h"
#include "accessserver/server/volume_registry.h"
#include "common/runtime/event_loop.h"

namespace shima {

class NfsService {
 public:
  // Both must outlive it.
  NfsService(ClusterVolumes& volumes, VolumeRegistry& registry, NfsServerOptions options, uint32_t threads);
  ~NfsService();  // stop()

  Status open();
  Status open_shared(const std::string& address);
  void close_shared();
  void change_identity(const ClientIdentity& identity);
  // First of all that ends: nothing waits for the own port any more. What else ends may be waiting for who
  // does.
  void begin_stop() { stopping_ = true; }
  void stop();

  uint16_t port() const { return port_; }
  NfsStatistics statistics() const;  // of the own address, since its listener was opened

 private:
  std::vector<EventLoop*> loops() const;
  void open_again();
  bool everywhere() const { return options_.address == "0.0.0.0" || options_.address == "::"; }

  ClusterVolumes& volumes_;
  VolumeRegistry& registry_;
  const NfsServerOptions options_;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // before the servers, which use them
  std::atomic<uint16_t> port_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::unique_ptr<NfsServer> server_, shared_;  // with mutex_
};

}  // namespace shima
