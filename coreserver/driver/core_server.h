// CoreServer: all parts of a core server put together; lives from start to SIGTERM.
//
// Start: ask etcd whether this release may run here (if it answers: a start without it is possible), open
// disks (recovery by scan; an empty one only if etcd does not miss any), listen, then in the background for
// as long as it takes: register in etcd with a new incarnation, read the volumes, claim the new incarnation
// in each of them (R4), start their groups. Until etcd has answered, nothing is served; once it has, an etcd
// that goes away only stops changes, not reads and writes. Threads: shards (event loops), one worker a disk,
// readers, one `control` thread that reconciles volumes with groups, and `etcd` and `membership` threads for
// blocking compare-and-swaps. ServerFacade's methods come on gRPC's threads.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/runtime/worker_pool.h"
#include "common/transport/connection.h"
#include "coreserver/cluster/cluster_view.h"
#include "coreserver/cluster/registration.h"
#include "coreserver/cluster/volume_store.h"
#include "coreserver/driver/data_session.h"
#include "coreserver/driver/membership_queue.h"
#include "coreserver/driver/metrics_endpoint.h"
#include "coreserver/driver/server_disk.h"
#include "coreserver/driver/shard.h"
#include "coreserver/options/server_options.h"
#include "coreserver/rpc/control_server.h"
#include "coreserver/rpc/server_facade.h"

namespace shima {

class CoreServer : public ServerFacade {
 public:
  static Result<std::unique_ptr<CoreServer>> start(const ServerOptions& options);
  ~CoreServer() override;
  void stop();

  // ServerFacade (core_server_facade.cc)
  std::string server_name() const override { return options_.name; }
  std::string site_name() const override { return options_.site; }
  ServerId server_id() const override { return ServerId(self_.load()); }
  Incarnation incarnation() const override { return Incarnation(incarnation_.load()); }
  uint64_t stale_ms() override;
  Result<VolumeInfo> create_volume(const VolumeSpec& wanted) override;
  Status delete_volume(const std::string& name, bool force) override;
  Result<VolumeDetails> get_volume(const std::string& name) override;
  Result<std::vector<VolumeInfo>> list_volumes() override;
  Result<VolumeInfo> set_quotas(const std::string& name, uint64_t size_bytes,
                                std::optional<uint64_t> max_inodes) override;
  Result<std::vector<SiteInfo>> list_sites() override;
  Result<SiteInfo> add_site(const SiteInfo& site) override;
  Result<std::vector<ServerInfo>> list_servers() override;
  Result<ClusterStatus> status() override;
  Result<std::vector<GroupReport>> show_groups(const std::string& volume) override;
  Result<ServerStatistics> stats() override;
  // core_server_fencing.cc
  Result<VolumeInfo> publish(const std::string& name, const PublicationInfo& asked) override;
  Result<VolumeInfo> unpublish(const std::string& name, const std::string& node,
                               uint32_t timeout_ms) override;
  Result<EtcdRevision> wait_for_revision(EtcdRevision revision, VolumeId committed,
                                         uint32_t timeout_ms) override;
  // core_server_disks.cc
  Result<std::vector<ServerDisks>> list_disks() override;
  Result<ForgetResult> forget_disk(const std::string& server, uint64_t disk) override;

 private:
  struct Place {  // where a group lives in this server
    ServerDisk* disk = nullptr;
    bool dropping = false;
  };
  struct Recovered {
    ServerDisk* disk = nullptr;
    GroupCheckpoint checkpoint;
    replication::RecoveredGroup group;
  };

  explicit CoreServer(const ServerOptions& options);
  // core_server_disks.cc
  Status connect_etcd();
  Status confirm_empty_disks();  // returns once etcd has told whether any disk may be empty
  Status confirm_release();      // returns once etcd has admitted this program, or does not answer
  // Control thread; ends the process if a disk is missing. The record's revision.
  Result<EtcdRevision> record_disks();
  Status open_disks();
  Status recover(ServerDisk& disk);
  Status listen();
  Result<NetworkEndpoint> listen_on(const NetworkOptions& network);
  // cluster_membership.cc; all on the control thread
  void join_cluster();
  Status try_join();
  Status skip_known_ids();  // etcd gives no id again that a group on these disks has
  void on_cluster_change(const ClusterChange& change);
  void reconcile(const std::shared_ptr<const ClusterState>& state, const VolumeInfo& volume);
  std::shared_ptr<const ClusterState> newest_state();
  void act_on_all();
  void reconcile_all(const std::shared_ptr<const ClusterState>& state);
  bool ensure_group(const VolumeInfo& volume, const GroupInfo& group);
  bool is_strange(const VolumeInfo& volume, const GroupInfo& group);
  std::string why_strange(GroupId id) const;  // any thread; empty: it is not
  void configure_group(const std::shared_ptr<const ClusterState>& state, const VolumeInfo& volume,
                       const GroupInfo& group, std::shared_ptr<const VolumeAdmission> access);
  void claim(const std::string& volume);
  void drop_volume(const VolumeInfo& volume);
  void propose(GroupId group, Term term, const replication::ProposeMembership& proposal);
  void change_memberships(const std::string& volume);  // blocks
  void add_group(const VolumeInfo& volume, GroupId id, ServerDisk* disk, GroupCheckpoint checkpoint,
                 replication::RecoveredGroup recovered);
  ServerDisk* disk_for_new_group() const;
  void check_disks();
  Status ask_to_act_on(ServerId server, EtcdRevision revision, VolumeId committed, uint32_t timeout_ms);
  Result<EtcdRevision> act_on(EtcdRevision revision, VolumeId committed, uint32_t timeout_ms);
  std::vector<GroupId> primaries_here(VolumeId volume) const;
  bool has_unreadable_volume() const;
  std::shared_ptr<const ClusterState> state() const;
  // Waits a moment for the view: whoever made the change and asks this server next is to find it.
  void see_own_change(const Result<VolumeInfo>& changed) const;
  Status ready() const;

  const ServerOptions options_;
  const uint64_t started_ms_;
  std::vector<std::unique_ptr<ServerDisk>> disks_;
  std::map<GroupId, Recovered> recovered_;  // until the group's volume was seen
  std::map<GroupId, Place> places_;
  std::map<GroupId, Term> logged_;  // newest terms of recovered logs; does not change after the start
  mutable std::mutex strange_mutex_;
  std::map<GroupId, std::string> strange_;  // why what was recovered under an id is not served: another's
  std::set<std::string> claiming_;          // volumes with a claim under way
  EtcdRevision acted_;                      // control thread: the groups were told what etcd had then
  std::shared_ptr<const AccessServers> access_servers_ = std::make_shared<const AccessServers>();
  std::atomic<int> waits_{0}, unpublishes_{0};  // calls that wait now

  std::unique_ptr<WorkerPool> readers_;
  std::unique_ptr<WorkerPool> control_;
  std::unique_ptr<WorkerPool> etcd_threads_;
  MembershipQueue wishes_;
  std::unique_ptr<WorkerPool> membership_threads_;  // claims do not stand behind what primaries wish
  std::unique_ptr<ShardSet> shards_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  ServerNetworks networks_;
  std::unique_ptr<ControlServer> control_server_;
  std::unique_ptr<MetricsEndpoint> metrics_;

  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> self_{0};
  std::atomic<uint64_t> incarnation_{0};
  std::atomic<bool> joined_{false};
  mutable std::mutex join_mutex_;  // guards join_error_
  std::string join_error_;
  std::unique_ptr<EtcdClient> etcd_;
  std::unique_ptr<Registration> registration_;
  std::unique_ptr<VolumeStore> volumes_;
  std::unique_ptr<ClusterView> view_;
};

}  // namespace shima
