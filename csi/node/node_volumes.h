// NodeVolumes: the volumes that are staged and published on this node.
//
// Every change is written to the volume's record first, then made by bring_up(): what decide_repairs() finds
// missing is made, so a call, its repetition after a crash anywhere, and the look-around at start are one
// thing. What is mounted is asked of the kernel's table; nothing that may hang is called without a deadline.
// Threads: any; a second call on a volume while one works on it gets kConflict (CSI: ABORTED).
// Errors: kInvalidArgument, kNotFound, kFailedPrecondition, kAlreadyExists, kConflict, kUnavailable,
// kDeadlineExceeded, as CSI 1.12 names them for each call.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "csi/host/kernel_mounts.h"
#include "csi/host/state_file.h"
#include "csi/mounter/mounter_client.h"
#include "csi/node/busy_volume.h"
#include "csi/node/repair_decision.h"
#include "csi/node/stage_record.h"

namespace shima {

// What the control plane says of a volume, for this node.
struct VolumeFacts {
  uint64_t size_bytes = 0;
  bool published_only = false;
  uint64_t publication = 0;  // this node's; 0: none
  bool read_only = false;    // of the publication
};

struct NodeVolumesOptions {
  std::string node;  // its name in publications
  std::string publish_root;
  std::string state_dir;
  std::string mounter_socket_path;
  std::string nfs_server;                                               // HOST:PORT; empty: none
  std::function<Result<VolumeFacts>(const std::string& volume)> facts;  // kNotFound: no such volume
  uint32_t mount_ms = 40'000;
  uint32_t sync_ms = 10'000;  // of what is unwritten, before an unmount
  uint32_t stop_ms = 12'000;  // of a FUSE process by itself, before its connection is aborted
  uint32_t unmount_ms = 10'000;
  uint32_t look_ms = 4'000;    // of statfs and the like
  uint32_t grow_ms = 20'000;   // until a mount shows the volume's new size
  uint32_t group_ms = 60'000;  // of giving all files to a group
};

struct PublishRequest {
  std::string volume, staging_path;
  PublishedTarget target;
  bool block = false;
  bool single_writer = false;  // SINGLE_NODE_SINGLE_WRITER, SINGLE_NODE_WRITER: one target only
};

struct VolumeUsage {
  std::optional<FileSystemUsage> usage;  // none: it does not say
  bool block = false;
  uint64_t size_bytes = 0;
  bool abnormal = false;
  std::string condition;
};

class NodeVolumes {
 public:
  // Waits a little for an earlier process to end. kFailedPrecondition, kIo.
  static Result<std::unique_ptr<NodeVolumes>> open(NodeVolumesOptions options);

  // `wanted`: all but publication, size and what follows.
  Status stage(StageRecord wanted);
  Status unstage(const std::string& volume, const std::string& staging_path);
  Status publish(const PublishRequest& request);
  Status unpublish(const std::string& volume, const std::string& target);
  Result<VolumeUsage> usage(const std::string& volume, const std::string& path,
                            const std::string& staging_path);
  // Bytes that the volume has on this node now. kNotFound: not staged, or the path is not its.
  Result<uint64_t> expand(const std::string& volume, const std::string& path, uint64_t required_bytes);

  // Looks after all staged volumes: at start, and then every few seconds. Volumes that a call works on are
  // left to it. `at_start`: also ends what no record names.
  void look_after(bool at_start);

 private:
  NodeVolumes(NodeVolumesOptions options, StateFolder folder, OwnedFd lock);

  // node_volumes.cc: records and calls
  Result<std::optional<StageRecord>> load(const std::string& volume) const;
  Status store(const StageRecord& record) const;
  Status forget(const std::string& volume) const;
  Result<StageRecord> load_staged(const std::string& volume) const;
  Status check_node_path(std::string_view what, const std::string& path) const;
  Status take_facts(StageRecord& record) const;
  Status stage_anew(StageRecord record);
  Status check_target(const StageRecord& record, const PublishRequest& request) const;
  Status unstage_unrecorded(const std::string& volume, const std::string& staging_path);
  Status expand_block(StageRecord& record);
  Status await_size(const StageRecord& record, uint64_t bytes) const;

  // volume_repair.cc: from a record to what there is
  std::string mount_path(const StageRecord& record) const;
  Result<FoundVolume> look(const StageRecord& record) const;
  FoundMount look_at_mount(const StageRecord& record, const MountTable& table) const;
  bool is_outdated(const StageRecord& record) const;
  FoundTarget look_at_target(const StageRecord& record, const PublishedTarget& target,
                             const MountTable& table) const;
  bool is_loop_good(const std::optional<uint32_t>& loop, const StageRecord& record) const;
  // Waits a while for a mount that is silent or refused.
  Status bring_up(StageRecord& record, const std::string& being_published);
  Status repair(StageRecord& record, const FoundVolume& found, const std::string& being_published);
  Status carry_out(StageRecord& record, const RepairStep& step);
  Status make_mount(StageRecord& record);
  Status make_fuse_mount(const StageRecord& record);
  Status make_nfs_mount(const StageRecord& record);
  Status attach_loop(StageRecord& record, bool read_only);
  Status release_loops(StageRecord& record, bool with_writable, bool sync);
  Status bind_target(const StageRecord& record, const PublishedTarget& target);
  Status clear_target(const std::string& path);
  Status drop_mount(const StageRecord& record);
  Status take_down(StageRecord& record);
  void look_after(const std::string& volume, bool at_start);
  void end_unrecorded_mounts();

  const NodeVolumesOptions options_;
  const StateFolder folder_;
  const OwnedFd lock_;  // of the state folder
  mutable MounterClient mounter_;
  std::mutex mutex_;                    // of what follows
  std::set<std::string> busy_;          // volumes that are worked on
  std::set<std::string> looked_after_;  // those of them that no call works on
};

}  // namespace shima
