// ServerFacade: what the control plane (gRPC) asks of a core server.
//
// Purpose: handlers stay thin and know neither etcd nor the event loops; tests put a fake here.
// Threads: methods are called on gRPC's threads, several at a time. A method may block, for a few seconds
// at the most (unpublish() and wait_for_revision(): for as long as they are told); when it cannot answer by
// then it returns kDeadlineExceeded (outcome unknown) or kUnavailable. Errors: codes are those of
// common/status; each message tells people what was wanted, found, and what to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/types/ids.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/disk_store.h"
#include "coreserver/cluster/volume_store.h"
#include "coreserver/replication/group_config.h"

namespace shima {

// A volume and the servers that its members live on, each once, by id.
struct VolumeDetails {
  VolumeInfo volume;
  std::vector<ServerInfo> servers;
};

struct VolumeHealth {
  std::string name;
  std::vector<std::string> reasons;  // for people: what is wrong; empty: healthy
};

struct ClusterStatus {
  bool etcd_reachable = false;
  std::string etcd_error;  // for people, if it is not
  uint64_t stale_ms = 0;   // since this server last heard from etcd
  uint32_t sites = 0;
  uint32_t servers = 0;
  std::vector<std::string> servers_away;  // registered, but without their lease
  std::vector<VolumeHealth> volumes;      // by name
  uint32_t formats_level = 0;             // the newest formats that may be written; 0: not known yet
  std::vector<RefusedStart> refused;      // by server
  std::vector<ServerInfo> software;       // all registered core servers, by name
};

// Another member of a group, as its primary sees it.
struct MemberReport {
  ServerId server;
  std::string site;
  replication::Role role = replication::Role::kNone;
  bool connected = false;
  bool whole = false;
  bool in_sync = false;
  Position durable;        // as the member said last
  uint64_t lag_bytes = 0;  // committed records that are not durable there
  double lag_seconds = 0;  // age of the oldest of them
};

// A replica group on this server.
struct GroupReport {
  GroupIndex index;
  replication::Role role = replication::Role::kNone;
  Term term;
  bool serving = false;  // primary: answers clients now
  std::string state;     // for people: what it does or waits for
  Position last, committed, durable, applied, trimmed;
  uint64_t journal_bytes = 0;         // of the group's records in this server's journal
  uint64_t block_bytes = 0;           // of the group's blocks in this server's block store
  std::vector<MemberReport> members;  // primary only: the others
};

// One number: counters since the process began, gauges of now.
struct Statistic {
  std::string name;  // lower case with underscores
  std::string unit;  // "count", "bytes", "us", "percent"
  double value = 0;
};

struct DiskStatistics {
  std::string path;
  uint64_t total_bytes = 0;  // of the file system
  uint64_t free_bytes = 0;
  std::string file_system;        // the same for all disks, of whatever servers, that share their free bytes;
                                  // empty: not known
  std::vector<Statistic> values;  // of its journal and block store
};

struct ServerStatistics {
  uint64_t uptime_ms = 0;
  std::vector<Statistic> values;  // of the process
  std::vector<DiskStatistics> disks;
};

class ServerFacade {
 public:
  virtual ~ServerFacade() = default;

  // Who answers; constant after the start.
  virtual std::string server_name() const = 0;  // SITE/core-N
  virtual std::string site_name() const = 0;
  virtual ServerId server_id() const = 0;
  virtual Incarnation incarnation() const = 0;
  // Milliseconds since this server last heard from etcd; 0: connected.
  virtual uint64_t stale_ms() = 0;

  // Only `copies` and `sites` may be left open (0, empty), as volume_store.h says; the home defaults to this
  // server's site.
  virtual Result<VolumeInfo> create_volume(const VolumeSpec& wanted) = 0;
  virtual Status delete_volume(const std::string& name, bool force) = 0;
  virtual Result<VolumeDetails> get_volume(const std::string& name) = 0;
  virtual Result<std::vector<VolumeInfo>> list_volumes() = 0;
  // `size_bytes` 0 and `max_inodes` nullopt: it stays as it is. kInvalidArgument if the volume would become
  // smaller.
  virtual Result<VolumeInfo> set_quotas(const std::string& name, uint64_t size_bytes,
                                        std::optional<uint64_t> max_inodes) = 0;
  // The record has the node's publication (R20; coreserver/cluster/volume_changes.h); wanted.id and since_ms
  // are not looked at.
  virtual Result<VolumeInfo> publish(const std::string& name, const PublicationInfo& wanted) = 0;
  // Returns when every primary of the volume refuses the node (empty: all nodes), or with kUnavailable after
  // `timeout_ms`: then the publication is gone from the record, but some primary has not said yet that it
  // knows.
  virtual Result<VolumeInfo> unpublish(const std::string& name, const std::string& node,
                                       uint32_t timeout_ms) = 0;
  // Returns when this server acts on etcd's state at `revision` (of a change below /shima/v1/) or later; what
  // it acts on. With `committed` (0: no volume) also, what its primaries of that volume had in their logs by
  // then is committed.
  virtual Result<EtcdRevision> wait_for_revision(EtcdRevision revision, VolumeId committed,
                                                 uint32_t timeout_ms) = 0;

  virtual Result<std::vector<SiteInfo>> list_sites() = 0;
  virtual Result<SiteInfo> add_site(const SiteInfo& site) = 0;
  virtual Result<std::vector<ServerInfo>> list_servers() = 0;  // in any order; ServerInfo tells who is alive
  virtual Result<ClusterStatus> status() = 0;

  // This server's groups of the volume, by index; none if it has no part in it.
  virtual Result<std::vector<GroupReport>> show_groups(const std::string& volume) = 0;
  virtual Result<ServerStatistics> stats() = 0;

  // Of all core servers, by name; as etcd has them now (coreserver/cluster/disk_store.h).
  virtual Result<std::vector<ServerDisks>> list_disks() = 0;
  // `disk` of `server` is lost for ever; 0: those it had before disks were on record.
  virtual Result<ForgetResult> forget_disk(const std::string& server, uint64_t disk) = 0;
};

}  // namespace shima
