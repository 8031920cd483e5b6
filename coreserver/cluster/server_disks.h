// PURE: which disks a core server has, and what may be done when one of them is not there.
//
// A start with a disk missing is refused: a primary without its data would answer with zeros, and a member
// without it would be taken for one that has nothing yet (decision 0014). Only a person's word
// (without_disk()) lets the server begin anew.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/disk_id.h"

namespace shima {

struct KnownDisk {
  uint64_t id = 0;  // of its superblock
  std::string path;
  int64_t since_ms = 0;  // since 1970
  bool operator==(const KnownDisk&) const = default;
};

struct ForgottenDiskInfo {
  uint64_t id = 0;
  int64_t when_ms = 0;  // since 1970
  bool operator==(const ForgottenDiskInfo&) const = default;
};

inline constexpr size_t kMaxDisks = 64;            // of a server's record
inline constexpr size_t kMaxForgottenDisks = 100;  // the newest ones
inline constexpr size_t kMaxDiskPathBytes = 4096;  // PATH_MAX

// The record /shima/v1/disks/SITE/core-N.
struct ServerDisks {
  std::string name;  // of the server
  std::vector<KnownDisk> disks;
  std::vector<ForgottenDiskInfo> forgotten;
  EtcdRevision mod_revision;   // not part of it
  std::string unknown_fields;  // of a newer program's record, kept when it is written (unknown_fields.h)
  bool operator==(const ServerDisks&) const = default;
};

// What lies at a path of the server's configuration.
struct FoundDisk {
  std::string path;
  uint64_t id = 0;  // 0: there is no superblock
  // Names of the volumes that it holds groups of, each once; empty also before the disk is opened.
  std::vector<std::string> volumes = {};
};

// What etcd knows of a server at its start.
struct DiskHistory {
  std::optional<ServerDisks> record;
  bool has_started_before =
      false;  // the server has a record of its own: programs older than ServerDisks, too
};

// What the record is to be once the server starts with what was found; the same record if nothing changes.
// kFailedPrecondition, in words that say what to do: a disk on record is missing, one was forgotten, two are
// the same, one is empty although the server has started before and nobody knows with which disks, or one
// holds groups although etcd knows neither the server nor its disks: that is not the etcd of these groups.
// Else disks that nobody knows are taken on; empty ones (id 0) are allowed beside all known ones, and not
// recorded.
Result<ServerDisks> accept_disks(const std::string& server, const DiskHistory& history,
                                 const std::vector<FoundDisk>& found, int64_t now_ms);

// Why `server` must not lose its disks now; kOk: nothing that was acknowledged is lost. Its members other
// than primaries are filled again by their primaries, which so must be there. kFailedPrecondition, naming up
// to ten volumes. Volumes that are being deleted do not count.
Status may_lose_disks(const ClusterState& state, const ServerInfo& server);

// The record after `disk` was said to be lost; the same if it was before. kNotFound: the record has no such
// disk. `disk` 0: the server has no record, and had disks that nobody noted.
Result<ServerDisks> without_disk(const std::string& server, const DiskHistory& history, uint64_t disk,
                                 int64_t now_ms);

}  // namespace shima
