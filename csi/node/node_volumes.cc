#include "csi/node/node_volumes.h"

#include <unistd.h>

#include <algorithm>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "csi/host/bounded_call.h"
#include "csi/host/loop_device.h"
#include "csi/node/disk_image.h"
#include "csi/node/volume_group.h"

namespace shima {
namespace {

constexpr uint32_t kPredecessorMs = 10'000;  // to end
constexpr useconds_t kSizePauseUs = 100'000;
constexpr char kSuffix[] = ".json";

Status not_staged(const std::string& volume) {
  return {Code::kFailedPrecondition,
          "volume " + volume + " is not staged on this node; call NodeStageVolume first"};
}

}  // namespace

NodeVolumes::NodeVolumes(NodeVolumesOptions options, StateFolder folder, OwnedFd lock)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      lock_(std::move(lock)),
      mounter_(options_.mounter_socket_path) {}

Result<std::unique_ptr<NodeVolumes>> NodeVolumes::open(NodeVolumesOptions options) {
  auto folder = StateFolder::open(options.state_dir + "/volumes");
  if (!folder) return folder.status();
  auto lock = lock_folder(options.state_dir, "node.lock", kPredecessorMs);
  if (!lock) return lock.status();
  SHIMA_RETURN_IF_ERROR(folder->remove_half_written());
  return std::unique_ptr<NodeVolumes>(
      new NodeVolumes(std::move(options), std::move(*folder), std::move(*lock)));
}

Result<std::optional<StageRecord>> NodeVolumes::load(const std::string& volume) const {
  if (!can_name_record(volume)) return std::optional<StageRecord>();  // nobody has made one of that name
  auto text = folder_.read(volume + kSuffix);
  if (text.status().code() == Code::kNotFound) return std::optional<StageRecord>();
  if (!text) return text.status();
  auto record = stage_record_from_json(*text);
  if (!record) return record.status().with_context(folder_.path() + "/" + volume + kSuffix);
  return std::optional<StageRecord>(std::move(*record));
}

Status NodeVolumes::store(const StageRecord& record) const {
  return folder_.write(record.volume + kSuffix, to_json(record));
}

Status NodeVolumes::forget(const std::string& volume) const { return folder_.remove(volume + kSuffix); }

Result<StageRecord> NodeVolumes::load_staged(const std::string& volume) const {
  auto record = load(volume);
  if (!record) return record.status();
  if (!*record || (*record)->phase != StagePhase::kStaged) return not_staged(volume);
  return **record;
}

Status NodeVolumes::check_node_path(std::string_view what, const std::string& path) const {
  SHIMA_RETURN_IF_ERROR(check_path_below(what, path, {options_.publish_root}));
  const Status parent = open_parent(what, path).status();
  if (parent.code() != Code::kNotFound) return parent;
  return {Code::kInvalidArgument, parent.message() + "; whoever calls makes the directory above the path"};
}

Status NodeVolumes::take_facts(StageRecord& record) const {
  auto facts = options_.facts(record.volume);
  if (!facts) return facts.status();
  if (facts->published_only && facts->publication == 0) {
    return {Code::kFailedPrecondition, "volume " + record.volume + " is not published to node " +
                                           options_.node + "; call ControllerPublishVolume first"};
  }
  record.read_only = record.read_only || facts->read_only;  // the core servers would refuse its writes
  record.publication = facts->publication;
  record.size_bytes = facts->size_bytes;
  return {};
}

Status NodeVolumes::stage(StageRecord wanted) {
  SHIMA_RETURN_IF_ERROR(
      check_path_below("staging_target_path", wanted.staging_path, {options_.publish_root}));
  if (!can_name_record(wanted.volume)) return {Code::kNotFound, "there is no volume of this volume_id"};
  const BusyVolume busy(mutex_, busy_, wanted.volume, &looked_after_);
  SHIMA_RETURN_IF_ERROR(busy.status());
  auto known = load(wanted.volume);
  if (!known) return known.status();
  if (*known && (*known)->phase == StagePhase::kUnstaging) {
    SHIMA_RETURN_IF_ERROR(take_down(**known));
    known->reset();
  }
  SHIMA_RETURN_IF_ERROR(take_facts(wanted));
  if (!*known) return stage_anew(std::move(wanted));
  StageRecord& record = **known;
  if (record.staging_path != wanted.staging_path) {
    return {Code::kFailedPrecondition, "volume " + record.volume + " is staged at " + record.staging_path +
                                           "; call NodeUnstageVolume for that path first"};
  }
  if (!record.compatible_with(wanted)) {
    return {Code::kAlreadyExists, "volume " + record.volume + " is staged at " + record.staging_path +
                                      " with another capability; call NodeUnstageVolume first"};
  }
  record.publication = wanted.publication;
  record.size_bytes = std::max(record.size_bytes, wanted.size_bytes);
  return stage_anew(std::move(record));
}

// Also goes on with a record that there is: its repetition.
Status NodeVolumes::stage_anew(StageRecord record) {
  const bool is_new = record.phase == StagePhase::kStaging;
  SHIMA_RETURN_IF_ERROR(check_node_path("staging_target_path", record.staging_path));
  SHIMA_RETURN_IF_ERROR(store(record));
  Status status = bring_up(record, "");
  if (status.is_ok() && record.mount_group && !record.block && !record.read_only) {
    status = give_volume_to_group(record.staging_path, *record.mount_group, options_.group_ms);
  }
  if (status.is_ok()) {
    record.phase = StagePhase::kStaged;
    return store(record);
  }
  // A mount that only takes long is left to the repetition of this call.
  if (!is_new || status.code() == Code::kDeadlineExceeded) return status;
  const Status undone = take_down(record);
  return undone.is_ok() ? status : status.with_context("and cannot be undone (" + undone.to_string() + ")");
}

Status NodeVolumes::unstage(const std::string& volume, const std::string& staging_path) {
  SHIMA_RETURN_IF_ERROR(check_path_below("staging_target_path", staging_path, {options_.publish_root}));
  const BusyVolume busy(mutex_, busy_, volume, &looked_after_);
  SHIMA_RETURN_IF_ERROR(busy.status());
  auto known = load(volume);
  if (!known) return known.status();
  if (!*known) return unstage_unrecorded(volume, staging_path);
  StageRecord& record = **known;
  if (record.staging_path != staging_path) {
    return {Code::kFailedPrecondition,
            "volume " + volume + " is staged at " + record.staging_path + ", not at " + staging_path};
  }
  auto table = read_mount_table();
  if (!table) return table.status();
  for (const PublishedTarget& target : record.targets) {
    if (record.phase == StagePhase::kUnstaging || table->at(target.path) == nullptr) continue;
    return {Code::kFailedPrecondition, "volume " + volume + " is still published at " + target.path +
                                           "; call NodeUnpublishVolume first"};
  }
  record.phase = StagePhase::kUnstaging;
  SHIMA_RETURN_IF_ERROR(store(record));
  return take_down(record);
}

// Ours without a record: its folder was lost.
Status NodeVolumes::unstage_unrecorded(const std::string& volume, const std::string& staging_path) {
  auto table = read_mount_table();
  if (!table) return table.status();
  const MountEntry* there = table->at(staging_path);
  if (there == nullptr) return {};
  if (!is_fuse_mount_of(*there, volume) && !is_nfs_mount_of(*there, volume)) return {};
  StageRecord record;
  record.volume = volume;
  record.staging_path = staging_path;
  record.protocol = is_fuse_mount_of(*there, volume) ? FileProtocol::kFuse : FileProtocol::kNfs;
  return drop_mount(record);
}

Status NodeVolumes::check_target(const StageRecord& record, const PublishRequest& request) const {
  const std::string& path = request.target.path;
  SHIMA_RETURN_IF_ERROR(check_node_path("target_path", path));
  if (path == record.staging_path || is_below(path, record.staging_path) ||
      is_below(record.staging_path, path)) {
    return {Code::kInvalidArgument,
            "target_path: found \"" + path + "\", wanted a path apart from the staging path"};
  }
  auto names = folder_.list(kSuffix);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    auto other = load(name.substr(0, name.size() - sizeof(kSuffix) + 1));
    if (!other || !*other || (*other)->volume == record.volume) continue;
    if ((*other)->staging_path == path || (*other)->find_target(path) != nullptr) {
      return {Code::kInvalidArgument, "target_path: " + path + " is volume " + (*other)->volume + "'s"};
    }
  }
  return {};
}

Status NodeVolumes::publish(const PublishRequest& request) {
  SHIMA_RETURN_IF_ERROR(check_path_below("target_path", request.target.path, {options_.publish_root}));
  const BusyVolume busy(mutex_, busy_, request.volume, &looked_after_);
  SHIMA_RETURN_IF_ERROR(busy.status());
  auto record = load_staged(request.volume);
  if (!record) return record.status();
  if (record->staging_path != request.staging_path) {
    return {Code::kFailedPrecondition, "volume " + request.volume + " is staged at " + record->staging_path +
                                           ", not at " + request.staging_path};
  }
  if (record->block != request.block) {
    return {Code::kInvalidArgument, std::string("volume_capability: the volume is staged as ") +
                                        (record->block ? "a block device" : "a mount") +
                                        "; publish it as that"};
  }
  SHIMA_RETURN_IF_ERROR(check_target(*record, request));
  const PublishedTarget* known = record->find_target(request.target.path);
  if (known != nullptr && !(*known == request.target)) {
    return {Code::kAlreadyExists,
            "volume " + request.volume + " is published at " + known->path +
                " with another read-only or other mount flags; call NodeUnpublishVolume first"};
  }
  if (known == nullptr && request.single_writer && !record->targets.empty()) {
    return {Code::kFailedPrecondition, "volume " + request.volume + " is published at " +
                                           record->targets[0].path +
                                           " and its access mode allows one target only"};
  }
  if (known == nullptr) {
    record->targets.push_back(request.target);
    SHIMA_RETURN_IF_ERROR(store(*record));
  }
  return bring_up(*record, request.target.path);
}

Status NodeVolumes::unpublish(const std::string& volume, const std::string& target) {
  SHIMA_RETURN_IF_ERROR(check_path_below("target_path", target, {options_.publish_root}));
  const BusyVolume busy(mutex_, busy_, volume, &looked_after_);
  SHIMA_RETURN_IF_ERROR(busy.status());
  auto known = load(volume);
  if (!known) return known.status();
  const bool recorded = *known && (*known)->find_target(target) != nullptr;
  auto table = read_mount_table();
  if (!table) return table.status();
  const MountEntry* there = table->at(target);
  const bool ours = there == nullptr || is_fuse_mount_of(*there, volume) || is_nfs_mount_of(*there, volume);
  if (!recorded && (!ours || (*known && (*known)->staging_path == target))) {
    return {Code::kInvalidArgument, "target_path: " + target + " is not a target of volume " + volume};
  }
  SHIMA_RETURN_IF_ERROR(clear_target(target));
  if (!recorded) return {};
  StageRecord& record = **known;
  std::erase_if(record.targets, [&](const PublishedTarget& t) { return t.path == target; });
  if (record.block && !record.wants_read_only_loop() && record.read_only_loop) {
    SHIMA_RETURN_IF_ERROR(release_loops(record, false, false));
  }
  return store(record);
}

Result<VolumeUsage> NodeVolumes::usage(const std::string& volume, const std::string& path,
                                       const std::string& staging_path) {
  if (path.empty()) return Status(Code::kInvalidArgument, "volume_path is missing: give where the volume is");
  auto record = load(volume);
  if (!record) return record.status();
  if (!*record || ((*record)->find_target(path) == nullptr && (*record)->staging_path != path) ||
      (!staging_path.empty() && (*record)->staging_path != staging_path)) {
    return Status(Code::kNotFound, "volume " + volume + " is not at " + path + " on this node");
  }
  const StageRecord& staged = **record;
  VolumeUsage found;
  found.block = staged.block;
  found.size_bytes = staged.size_bytes;
  found.condition = "the volume answers";
  const auto table = read_mount_table();
  if (!table) return table.status();
  if (table->at(mount_path(staged)) == nullptr || (!staged.block && table->at(path) == nullptr)) {
    found.abnormal = true;
    found.condition = "the volume is not mounted at " + path + "; it is mounted again within seconds";
    return found;
  }
  const auto usage = file_system_usage(mount_path(staged), options_.look_ms);
  if (usage) found.usage = *usage;
  const Status asked = usage ? Status::ok() : usage.status();
  if (!asked.is_ok()) {
    found.abnormal = true;
    found.condition = asked.to_string();
  } else if (staged.wants_loop() && !is_loop_good(staged.loop, staged)) {
    found.abnormal = true;
    found.condition = "the loop device of the volume is on an earlier mount; restart what uses it";
  }
  return found;
}

Result<uint64_t> NodeVolumes::expand(const std::string& volume, const std::string& path,
                                     uint64_t required_bytes) {
  if (path.empty()) return Status(Code::kInvalidArgument, "volume_path is missing: give where the volume is");
  const BusyVolume busy(mutex_, busy_, volume, &looked_after_);
  SHIMA_RETURN_IF_ERROR(busy.status());
  auto known = load(volume);
  if (!known) return known.status();
  if (!*known || ((*known)->find_target(path) == nullptr && (*known)->staging_path != path)) {
    return Status(Code::kNotFound, "volume " + volume + " is not at " + path + " on this node");
  }
  StageRecord& record = **known;
  auto facts = options_.facts(volume);
  if (!facts) return facts.status();
  if (required_bytes > facts->size_bytes) {
    return Status(Code::kFailedPrecondition,
                  "volume " + volume + " has " + std::to_string(facts->size_bytes) + " bytes, not " +
                      std::to_string(required_bytes) + "; call ControllerExpandVolume first");
  }
  record.size_bytes = facts->size_bytes;
  SHIMA_RETURN_IF_ERROR(store(record));
  if (record.block) {
    SHIMA_RETURN_IF_ERROR(expand_block(record));
  } else {
    SHIMA_RETURN_IF_ERROR(await_size(record, required_bytes));
  }
  return record.size_bytes;
}

// The mount asks its core server, which learns of the new size a moment after it is on record.
Status NodeVolumes::await_size(const StageRecord& record, uint64_t bytes) const {
  const uint64_t until = real_clock().now_ms() + options_.grow_ms;
  while (true) {
    const auto usage = file_system_usage(mount_path(record), options_.look_ms);
    const bool in_time = real_clock().now_ms() < until;
    if (!usage && (usage.status().code() != Code::kDeadlineExceeded || !in_time)) return usage.status();
    if (usage && usage->total_bytes >= bytes) return {};
    if (!in_time) {
      return {Code::kUnavailable, "the mount still shows " + std::to_string(usage->total_bytes) +
                                      " bytes; it learns of the new size in a moment: try again"};
    }
    usleep(kSizePauseUs);
  }
}

Status NodeVolumes::expand_block(StageRecord& record) {
  SHIMA_RETURN_IF_ERROR(
      ensure_disk_image(mount_path(record), record.size_bytes, record.read_only, options_.mount_ms));
  for (const std::optional<uint32_t>& loop : {record.loop, record.read_only_loop}) {
    if (is_loop_good(loop, record)) SHIMA_RETURN_IF_ERROR(grow_loop_device(*loop, options_.look_ms));
  }
  return {};
}

}  // namespace shima
