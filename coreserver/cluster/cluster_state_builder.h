// PURE: builds a ClusterState from etcd's keys, one change at a time.
//
// A record that cannot be read leaves the last good one in place and is noted in ClusterState::unreadable.
// Threads: none.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/etcd/etcd_client.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/records.h"

namespace shima {

class ClusterStateBuilder {
 public:
  void apply(const EtcdWatchBatch& batch);
  const ClusterState& state() const { return state_; }

 private:
  void put(const EtcdKeyValue& item);
  void remove(const std::string& key);
  void keep_only(const std::vector<EtcdWatchBatch::Change>& items);
  void mark_alive();

  ClusterState state_;
  std::map<std::string, AliveInfo> alive_;        // by server name
  std::map<std::string, SoftwareInfo> software_;  // by server name
};

}  // namespace shima
