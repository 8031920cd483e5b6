// PublishedVolumes: which NFS clients may use volumes that are for published nodes only: those whose address
// is one of a publication's.
//
// Core servers let a registered access server use such volumes; it sees to its own clients here. So an NFS
// client is fenced at each access server, as soon as that hears of the record's change from etcd
// (docs/decisions/0011-fencing.md); an access server that has not heard of etcd for longer than `stale_ms`
// lets nobody in. Threads: any. A look costs a mutex, and a search by the client's address.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "accessserver/server/published_access.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

class PublishedVolumes {
 public:
  // `silent_ms`: since etcd was last heard of.
  PublishedVolumes(std::function<uint64_t()> silent_ms, uint64_t stale_ms);

  // What was listed, unless an update has come already.
  void begin(const ClusterState& state);
  void update(const ClusterState& state);
  // `client`: IPv4 or IPv6 literal; an IPv4 address in IPv6 is the IPv4 address. A volume that is not known
  // is kReadWrite: wait_for() before it is served.
  PublishedAccess access(const std::string& volume, const std::string& client) const;
  // Waits until the record of the volume is known, of that version or a later one; false: it is not in time.
  bool wait_for(const std::string& volume, ConfigVersion version, uint32_t timeout_ms) const;

 private:
  struct Volume {
    ConfigVersion version;
    bool published_only = false;
    std::map<std::string, bool> read_only;  // by address, in its usual form
  };
  using Volumes = std::map<std::string, Volume>;  // by name

  static Volume clients_of(const VolumeInfo& volume);
  static std::shared_ptr<const Volumes> volumes_of(const ClusterState& state);

  const std::function<uint64_t()> silent_ms_;
  const uint64_t stale_ms_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::shared_ptr<const Volumes> volumes_;  // with mutex_; null until begin() or update()
};

}  // namespace shima
