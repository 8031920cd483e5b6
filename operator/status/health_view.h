// What the core servers say of themselves, as far as the operator decides by it (ClusterService.GetStatus,
// and of each server StatsService.GetStats).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shima {

struct UnhealthyVolume {
  std::string name;
  std::vector<std::string> reasons;  // for people
};

// What a registered core server runs.
struct ServerVersion {
  std::string server;   // SITE/core-N
  std::string version;  // "0.1.0"; empty: too old to say
  bool operator==(const ServerVersion&) const = default;
};

// A core server that was started lately and may not run in this cluster.
struct RefusedServer {
  std::string server;
  std::string version;  // of what was started
  std::string reason;   // for people
  bool operator==(const RefusedServer&) const = default;
};

// The groups that a core server is the primary of, as it knows them: sums, and the worst of all. And its
// disks.
struct ServerReplication {
  std::string server;                // SITE/core-N
  std::string error;                 // for people: why nothing is known of them; empty: `told` counts
  bool told = false;                 // false: the server is too old to say; only etcd's records tell
  uint64_t not_serving = 0;          // groups that answer no client
  uint64_t without_second_copy = 0;  // groups whose secondary is away or has not caught up
  uint64_t remotes_away = 0;         // members at other sites that are not connected
  uint64_t remotes_not_whole = 0;
  uint64_t lag_bytes = 0;  // the greatest of a member at another site
  uint64_t lag_ms = 0;     // the same, perhaps of another member
  // Directories of disks that take no writes for want of space; where there is an `error`, as told last.
  std::vector<std::string> full_disks;
  bool operator==(const ServerReplication&) const = default;
};

struct HealthView {
  bool answered = false;        // some core server did, lately; otherwise only `error` counts
  std::string error;            // for people: why none did
  bool etcd_reachable = false;  // the server that answered is connected to etcd
  uint32_t volumes = 0;
  std::vector<std::string> servers_away;   // SITE/core-N, registered but without a lease
  std::vector<UnhealthyVolume> unhealthy;  // volumes whose members are not all alive and whole
  std::vector<ServerVersion> versions;     // by server; empty: the server that answered is too old to say
  std::vector<RefusedServer> refused;      // by server
  std::string replication_error;           // for people: why nobody was asked; empty: `replication` counts
  std::vector<ServerReplication> replication;  // of the servers with a lease
};

}  // namespace shima
