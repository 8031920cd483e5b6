// The part of NodeVolumes that leads from a record to what there is: looks, and carries repairs out.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "csi/host/bounded_call.h"
#include "csi/host/loop_device.h"
#include "csi/node/disk_image.h"
#include "csi/node/mount_flags.h"
#include "csi/node/nfs_options.h"
#include "csi/node/nfs_route.h"
#include "csi/node/node_volumes.h"

namespace shima {
namespace {

constexpr size_t kSuffixBytes = 5;  // ".json"
// Core servers and access servers learn of a volume and its publications from etcd, a moment after the
// controller has made them. `kLookMs`: where no call waits for it.
constexpr uint32_t kTravelMs = 15'000, kLookMs = 3000;
constexpr uint32_t kSilenceMs = 20'000;  // of a mount whose servers stand still
constexpr useconds_t kAskAgainUs = 100'000;

void warn(const StageRecord& record, const std::string& text) {
  log(LogLevel::kWarning, "node", "volume " + record.volume + ": " + text);
}

Status refused_by_server(const StageRecord& record, const std::string& path) {
  return {
      Code::kFailedPrecondition,
      "the server of volume " + record.volume + " does not let this node have it at " + path +
          ": the volume is not published to this node (any more), or the server sees the node at an address "
          "that is none of --node-addresses, as behind NAT"};
}

uint32_t patience_ms(FoundMount mount) {
  return mount == FoundMount::kHung ? kSilenceMs : mount == FoundMount::kRefused ? kTravelMs : 0;
}

bool is_mount_of(const MountEntry& entry, const StageRecord& record) {
  return record.protocol == FileProtocol::kFuse ? is_fuse_mount_of(entry, record.volume)
                                                : is_nfs_mount_of(entry, record.volume);
}

unsigned long flags_of(const StageRecord& record, const PublishedTarget& target) {
  const auto flags =
      parse_mount_flags(target.flags, record.protocol);  // were good when they were written down
  const bool read_only = target.read_only || record.read_only;
  return (flags ? flags->flags : 0) | (read_only ? MS_RDONLY : 0);
}

bool has_flags(const MountEntry& entry, unsigned long flags) {
  const auto as_wanted = [&](unsigned long flag, const char* option) {
    return ((flags & flag) != 0) == entry.has_option(option);
  };
  return as_wanted(MS_RDONLY, "ro") && as_wanted(MS_NOSUID, "nosuid") && as_wanted(MS_NODEV, "nodev") &&
         as_wanted(MS_NOEXEC, "noexec");
}

}  // namespace

std::string NodeVolumes::mount_path(const StageRecord& record) const {
  return record.block ? options_.state_dir + "/block/" + record.volume : record.staging_path;
}

FoundMount NodeVolumes::look_at_mount(const StageRecord& record, const MountTable& table) const {
  const std::string path = mount_path(record);
  const MountEntry* entry = table.at(path);
  if (entry == nullptr) return FoundMount::kNone;
  if (!is_mount_of(*entry, record)) return FoundMount::kForeign;
  if (is_outdated(record)) return FoundMount::kOutdated;
  switch (probe_mount(path, options_.look_ms)) {
    case MountHealth::kHealthy:
      return FoundMount::kHealthy;
    case MountHealth::kDead:
      return FoundMount::kDead;
    case MountHealth::kRefused:
      return FoundMount::kRefused;
    default:
      return FoundMount::kHung;
  }
}

// Runs with another publication than the record's: its core servers refuse it, and it answers nothing but
// errors.
bool NodeVolumes::is_outdated(const StageRecord& record) const {
  if (record.protocol != FileProtocol::kFuse) return false;
  const auto mounts = mounter_.list();
  if (!mounts) return false;
  const std::string path = mount_path(record);
  return std::any_of(mounts->begin(), mounts->end(), [&](const mounter::v1::Mount& mount) {
    return mount.path() == path && mount.running() &&
           (mount.publication() != record.publication || mount.read_only() != record.read_only);
  });
}

FoundTarget NodeVolumes::look_at_target(const StageRecord& record, const PublishedTarget& target,
                                        const MountTable& table) const {
  const MountEntry* entry = table.at(target.path);
  if (entry == nullptr) {
    auto parent = open_parent("target_path", target.path);
    struct stat found {};
    const std::string name = last_component(target.path);
    const bool there = parent && fstatat(parent->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0;
    return there ? FoundTarget::kFree : FoundTarget::kAbsent;
  }
  const unsigned long flags = flags_of(record, target);
  if (record.block) {
    if (!entry->root.starts_with("/loop")) return FoundTarget::kForeign;
    const auto loop = target.read_only || record.read_only ? record.read_only_loop : record.loop;
    return loop && entry->root == "/loop" + std::to_string(*loop) ? FoundTarget::kBound : FoundTarget::kWrong;
  }
  if (!is_mount_of(*entry, record)) return FoundTarget::kForeign;
  const MountEntry* staged = table.at(record.staging_path);
  const bool same = staged != nullptr && staged->device_major == entry->device_major &&
                    staged->device_minor == entry->device_minor && table.depth(target.path) == 1;
  return same && has_flags(*entry, flags) ? FoundTarget::kBound : FoundTarget::kWrong;
}

bool NodeVolumes::is_loop_good(const std::optional<uint32_t>& loop, const StageRecord& record) const {
  if (!loop) return false;
  const auto device = find_loop_device(*loop);
  return device && device->backing_file == disk_image_path(mount_path(record));
}

Result<FoundVolume> NodeVolumes::look(const StageRecord& record) const {
  auto table = read_mount_table();
  if (!table) return table.status();
  FoundVolume found;
  found.mount = look_at_mount(record, *table);
  found.loop_good = is_loop_good(record.loop, record);
  found.read_only_loop_good = is_loop_good(record.read_only_loop, record);
  for (const PublishedTarget& target : record.targets) {
    found.targets[target.path] = look_at_target(record, target, *table);
  }
  return found;
}

Status NodeVolumes::bring_up(StageRecord& record, const std::string& being_published) {
  const uint64_t begin = real_clock().now_ms();
  auto found = look(record);
  while (found && real_clock().now_ms() < begin + patience_ms(found->mount)) {
    usleep(kAskAgainUs);
    found = look(record);
  }
  return found ? repair(record, *found, being_published) : found.status();
}

Status NodeVolumes::repair(StageRecord& record, const FoundVolume& found,
                           const std::string& being_published) {
  for (const RepairStep& step : decide_repairs(record, found, being_published)) {
    SHIMA_RETURN_IF_ERROR(carry_out(record, step));
  }
  return {};
}

Status NodeVolumes::carry_out(StageRecord& record, const RepairStep& step) {
  switch (step.repair) {
    case Repair::kTakeDown:
      return take_down(record);
    case Repair::kRefuseForeignMount:
      return {Code::kFailedPrecondition, "something else than volume " + record.volume + " is mounted at " +
                                             mount_path(record) + "; unmount it"};
    case Repair::kRefuseHungMount:
      return {Code::kDeadlineExceeded, "volume " + record.volume + " is mounted at " + mount_path(record) +
                                           " and does not answer; are its core servers up?"};
    case Repair::kRefuseRefusedMount:
      return refused_by_server(record, mount_path(record));
    case Repair::kRefuseForeignTarget:
      return {Code::kFailedPrecondition, "something else than volume " + record.volume + " is mounted at " +
                                             step.target + "; unmount it"};
    case Repair::kReleaseLoops:
      return release_loops(record, true, false);
    case Repair::kReleaseReadOnlyLoop:
      return release_loops(record, false, false);
    case Repair::kUnmount:
      warn(record, "the mount at " + mount_path(record) + " is made anew");
      return drop_mount(record);
    case Repair::kMount:
      return make_mount(record);
    case Repair::kAttachLoop:
      return attach_loop(record, false);
    case Repair::kAttachReadOnlyLoop:
      return attach_loop(record, true);
    case Repair::kForgetTarget:
      std::erase_if(record.targets, [&](const PublishedTarget& t) { return t.path == step.target; });
      return store(record);
    case Repair::kUnbindTarget:
      return unmount_all(step.target, options_.unmount_ms);
    case Repair::kBindTarget:
      return bind_target(record, *record.find_target(step.target));
  }
  return {Code::kInternal, "an unknown repair"};
}

Status NodeVolumes::make_mount(StageRecord& record) {
  const std::string path = mount_path(record);
  if (record.block) SHIMA_RETURN_IF_ERROR(make_folders(options_.state_dir + "/block", 0700));
  SHIMA_RETURN_IF_ERROR(make_mount_directory(path));
  return record.protocol == FileProtocol::kFuse ? make_fuse_mount(record) : make_nfs_mount(record);
}

Status NodeVolumes::make_fuse_mount(const StageRecord& record) {
  mounter::v1::StartRequest request;
  request.set_path(mount_path(record));
  request.set_volume(record.volume);
  request.set_read_only(record.read_only);
  request.set_timeout_ms(options_.mount_ms);
  if (record.publication != 0) request.set_node(options_.node);
  request.set_publication(record.publication);
  auto mount = mounter_.start(request);
  if (!mount && mount.status().code() == Code::kAlreadyExists) {
    SHIMA_RETURN_IF_ERROR(drop_mount(record));
    mount = mounter_.start(request);
  }
  // Its process asks a core server that may not know the volume yet, and ends.
  const uint64_t until = real_clock().now_ms() + (record.phase == StagePhase::kStaging ? kTravelMs : 0);
  while (mount.status().code() == Code::kFailedPrecondition && real_clock().now_ms() < until) {
    usleep(5 * kAskAgainUs);
    mount = mounter_.start(request);
  }
  if (!mount) return mount.status();
  auto table = read_mount_table();
  if (!table) return table.status();
  if (look_at_mount(record, *table) != FoundMount::kNone) return {};
  return {Code::kFailedPrecondition,
          "the mounter's mount at " + mount_path(record) +
              " is not seen here: both containers need Bidirectional mount propagation of it"};
}

Status NodeVolumes::make_nfs_mount(const StageRecord& record) {
  if (options_.nfs_server.empty()) {
    return {Code::kFailedPrecondition,
            "volume " + record.volume +
                " is to be mounted by NFS, and this node plug-in was not given --nfs-server"};
  }
  auto server = split_server(options_.nfs_server);
  if (!server) return server.status();
  auto address = address_of(server->first);
  if (!address) return address.status();
  auto flags = parse_mount_flags(record.flags, record.protocol);
  if (!flags) return flags.status();
  auto mount = nfs_mount(options_.nfs_server, *address, record.volume, flags->nfs);
  if (!mount) return mount.status();
  const unsigned long all = flags->flags | (record.read_only ? MS_RDONLY : 0);
  const std::string path = mount_path(record);
  const uint64_t until = real_clock().now_ms() + (record.phase == StagePhase::kStaging ? kTravelMs : kLookMs);
  Status status = mount_nfs(mount->source, path, all, mount->options, options_.mount_ms);
  while (status.code() == Code::kPermissionDenied && real_clock().now_ms() < until) {
    usleep(kAskAgainUs);
    status = mount_nfs(mount->source, path, all, mount->options, options_.mount_ms);
  }
  return status.code() == Code::kPermissionDenied ? refused_by_server(record, path) : status;
}

Status NodeVolumes::attach_loop(StageRecord& record, bool read_only) {
  const std::string path = mount_path(record);
  std::optional<uint32_t>& remembered = read_only ? record.read_only_loop : record.loop;
  SHIMA_RETURN_IF_ERROR(ensure_disk_image(path, record.size_bytes, record.read_only, options_.mount_ms));
  auto number = attach_loop_device(
      disk_image_path(path), read_only,
      [&](uint32_t intended) {
        remembered = intended;
        return store(record);
      },
      options_.mount_ms);
  return number.status();
}

Status NodeVolumes::release_loops(StageRecord& record, bool with_writable, bool sync) {
  const std::string image = disk_image_path(mount_path(record));
  const auto release = [&](std::optional<uint32_t>& loop, bool synced) -> Status {
    if (!loop) return {};
    const Status status = detach_loop_device(*loop, image, synced, options_.sync_ms);
    if (!status.is_ok() && synced) {
      warn(record, status.to_string() + "; its device is freed without");
      SHIMA_RETURN_IF_ERROR(detach_loop_device(*loop, image, false, options_.unmount_ms));
    } else if (!status.is_ok()) {
      return status;
    }
    loop.reset();
    return {};
  };
  if (with_writable) SHIMA_RETURN_IF_ERROR(release(record.loop, sync));
  SHIMA_RETURN_IF_ERROR(release(record.read_only_loop, false));
  return store(record);
}

Status NodeVolumes::bind_target(const StageRecord& record, const PublishedTarget& target) {
  const unsigned long flags = flags_of(record, target);
  if (!record.block) {
    SHIMA_RETURN_IF_ERROR(make_mount_directory(target.path));
    return bind_mount(record.staging_path, target.path, flags, options_.mount_ms);
  }
  const auto loop = target.read_only || record.read_only ? record.read_only_loop : record.loop;
  if (!loop) return {Code::kInternal, "volume " + record.volume + " has no loop device to publish"};
  // Another node may have written since somebody here, for an earlier target, read the device.
  SHIMA_RETURN_IF_ERROR(drop_cached_pages(*loop, options_.mount_ms));
  SHIMA_RETURN_IF_ERROR(make_mount_file(target.path));
  // A read-only bind mount would not keep anybody from writing to a device: the device itself is read-only.
  return bind_mount(loop_path(*loop), target.path, flags & ~static_cast<unsigned long>(MS_NODEV),
                    options_.mount_ms);
}

Status NodeVolumes::clear_target(const std::string& path) {
  SHIMA_RETURN_IF_ERROR(unmount_all(path, options_.unmount_ms));
  return remove_mount_point(path);
}

// With a dead server too, within its deadlines; says in the log what could not be waited for.
Status NodeVolumes::drop_mount(const StageRecord& record) {
  const std::string path = mount_path(record);
  auto table = read_mount_table();
  if (!table) return table.status();
  const bool mounted = table->at(path) != nullptr && is_mount_of(*table->at(path), record);
  if (mounted) {
    const Status synced = sync_file_system(path, options_.sync_ms);
    if (!synced.is_ok()) warn(record, synced.to_string() + "; it is unmounted all the same");
  }
  if (record.protocol == FileProtocol::kFuse) {
    const auto stopped = mounter_.stop(path, options_.stop_ms);
    if (!stopped) warn(record, stopped.status().to_string() + "; the mount is taken away from here");
    if (stopped && stopped->aborted())
      warn(record, "did not end in time: requests that were under way got errors");
  } else if (mounted) {
    const Status gone = unmount(path, options_.unmount_ms);
    if (!gone.is_ok()) warn(record, gone.to_string() + "; it is taken away lazily");
  }
  table = read_mount_table();
  if (!table) return table.status();
  if (table->at(path) == nullptr || !is_mount_of(*table->at(path), record)) return {};
  return unmount_lazily(path, true, options_.unmount_ms);
}

Status NodeVolumes::take_down(StageRecord& record) {
  if (record.phase != StagePhase::kUnstaging) {
    record.phase = StagePhase::kUnstaging;
    SHIMA_RETURN_IF_ERROR(store(record));
  }
  for (const PublishedTarget& target : record.targets) SHIMA_RETURN_IF_ERROR(clear_target(target.path));
  if (record.block) SHIMA_RETURN_IF_ERROR(release_loops(record, true, true));
  SHIMA_RETURN_IF_ERROR(drop_mount(record));
  if (record.block) SHIMA_RETURN_IF_ERROR(remove_mount_point(mount_path(record)));
  return forget(record.volume);
}

void NodeVolumes::look_after(const std::string& volume, bool at_start) {
  // Said first, so that no call finds the volume busy without knowing by whom.
  const BusyVolume looking(mutex_, looked_after_, volume);
  const BusyVolume busy(mutex_, busy_, volume);
  if (!busy.status().is_ok()) return;
  auto record = load(volume);
  if (!record) log(LogLevel::kError, "node", record.status().to_string());
  if (!record || !*record) return;
  // One that is half staged is taken back at start; later it is its caller's to go on with.
  const bool half_staged = (*record)->phase == StagePhase::kStaging;
  if (half_staged && !at_start) return;
  const auto look_once = [&] {  // calls wait for this
    const auto found = look(**record);
    return found ? repair(**record, *found, "") : found.status();
  };
  const Status status = half_staged ? take_down(**record) : look_once();
  if (!status.is_ok()) warn(**record, "cannot be repaired now: " + status.to_string());
}

void NodeVolumes::look_after(bool at_start) {
  auto names = folder_.list(".json");
  if (!names) {
    log(LogLevel::kError, "node", names.status().to_string());
    return;
  }
  if (at_start) end_unrecorded_mounts();
  for (const std::string& name : *names) look_after(name.substr(0, name.size() - kSuffixBytes), at_start);
}

// Processes and devices that no record names: their volume's record was lost with the state of an earlier
// plug-in.
void NodeVolumes::end_unrecorded_mounts() {
  const auto mounts = mounter_.list();
  if (!mounts) {
    log(LogLevel::kWarning, "node", mounts.status().to_string());
    return;
  }
  for (const mounter::v1::Mount& mount : *mounts) {
    auto record = load(mount.volume());
    if (!record || (*record && mount_path(**record) == mount.path())) continue;
    log(LogLevel::kWarning, "node",
        "no record names the mount of volume " + mount.volume() + " at " + mount.path() + "; it is ended");
    StageRecord unknown;
    unknown.volume = mount.volume();
    unknown.staging_path = mount.path();
    const auto devices = loop_devices();
    for (const LoopDevice& device : devices ? *devices : std::vector<LoopDevice>()) {
      if (device.backing_file != disk_image_path(mount.path())) continue;
      const Status freed = detach_loop_device(device.number, device.backing_file, false, options_.unmount_ms);
      if (!freed.is_ok()) log(LogLevel::kWarning, "node", freed.to_string());
    }
    const Status ended = drop_mount(unknown);
    if (!ended.is_ok()) log(LogLevel::kWarning, "node", ended.to_string());
  }
}

}  // namespace shima
