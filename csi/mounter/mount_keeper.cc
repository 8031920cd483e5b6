#include "csi/mounter/mount_keeper.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "csi/host/kernel_mounts.h"
#include "csi/host/mount_table.h"
#include "csi/mounter/fuse_connection.h"

namespace shima {
namespace {

constexpr size_t kLogEndBytes = 4096;
constexpr uint64_t kMostLogBytes = 8 << 20;
constexpr uint32_t kUnmountMs = 15'000;
constexpr uint32_t kAfterAbortMs = 3000;  // for the process to end by itself once its mount is gone
constexpr uint32_t kAfterKillMs = 10'000;
constexpr useconds_t kLookAgainUs = 10'000;

int64_t since_1970_ms() {
  timeval now{};
  gettimeofday(&now, nullptr);
  return now.tv_sec * 1000 + now.tv_usec / 1000;
}

// The connection of the volume's mount at the path; 0: none.
uint32_t connection_at(const MountRecord& record) {
  const auto table = read_mount_table();
  const MountEntry* entry = table ? table->at(record.path) : nullptr;
  return entry != nullptr && is_fuse_mount_of(*entry, record.volume) ? entry->device_minor : 0;
}

// Whether the connection's number belongs to another mount by now: the kernel gives a number to the next
// mount once a connection has ended. True also if nobody knows.
bool is_of_another(uint32_t connection, const MountRecord& record, const std::vector<MountRecord>& others) {
  const auto table = read_mount_table();
  if (!table) return true;
  const auto& entries = table->entries();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const MountEntry& entry) {
                       return entry.device_major == 0 && entry.device_minor == connection &&
                              !is_fuse_mount_of(entry, record.volume);
                     }) ||
         std::any_of(others.begin(), others.end(), [&](const MountRecord& other) {
           return other.path != record.path && connection_at(other) == connection;
         });
}

}  // namespace

// The right to work on a path; released by its end.
class MountKeeper::BusyPath {
 public:
  BusyPath(MountKeeper& keeper, const std::string& path) : keeper_(keeper), path_(path) {
    std::lock_guard lock(keeper_.mutex_);
    taken_ = keeper_.busy_.insert(path_).second;
  }
  ~BusyPath() {
    if (!taken_) return;
    std::lock_guard lock(keeper_.mutex_);
    keeper_.busy_.erase(path_);
  }
  Status status() const {
    return taken_ ? Status::ok() : Status(Code::kConflict, "another call works on " + path_ + "; try again");
  }

 private:
  MountKeeper& keeper_;
  const std::string path_;
  bool taken_ = false;
};

Result<std::unique_ptr<MountKeeper>> MountKeeper::open(MounterOptions options) {
  auto folder = StateFolder::open(options.state_dir + "/mounts");
  if (!folder) return folder.status();
  std::unique_ptr<MountKeeper> keeper(new MountKeeper(std::move(options), std::move(*folder)));
  SHIMA_RETURN_IF_ERROR(keeper->load());
  return keeper;
}

Status MountKeeper::load() {
  SHIMA_RETURN_IF_ERROR(folder_.remove_half_written());
  auto names = folder_.list(".json");
  if (!names) return names.status();
  for (const std::string& name : *names) {
    auto text = folder_.read(name);
    auto record = text ? mount_record_from_json(*text) : Result<MountRecord>(text.status());
    if (!record) {
      log(LogLevel::kError, "mounter",
          folder_.path() + "/" + name + " is left alone: " + record.status().to_string());
      continue;
    }
    const bool lives = identify_process(record->process.pid) == record->process;
    log(LogLevel::kInfo, "mounter",
        "found the mount of volume " + record->volume + " at " + record->path + ": process " +
            std::to_string(record->process.pid) + (lives ? " runs" : " has ended"));
    records_[record->path] = *record;
  }
  return {};
}

Status MountKeeper::store(const MountRecord& record) {
  SHIMA_RETURN_IF_ERROR(folder_.write(mount_id(record.path) + ".json", to_json(record)));
  std::lock_guard lock(mutex_);
  records_[record.path] = record;
  return {};
}

std::string MountKeeper::log_file(const std::string& path) const {
  return folder_.path() + "/" + mount_id(path) + ".log";
}

void MountKeeper::reap() {
  std::lock_guard lock(mutex_);
  for (const auto& [path, record] : records_) {
    int status = 0;
    if (record.process.pid <= 0 || waitpid(record.process.pid, &status, WNOHANG) != record.process.pid)
      continue;
    exit_codes_[record.process.pid] = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
}

KeptMount MountKeeper::look(const MountRecord& record) {
  reap();
  KeptMount mount;
  mount.record = record;
  mount.running = identify_process(record.process.pid) == record.process;
  if (mount.running) return mount;
  {
    std::lock_guard lock(mutex_);
    const auto code = exit_codes_.find(record.process.pid);
    if (code != exit_codes_.end()) mount.exit_code = code->second;
  }
  mount.log_end = end_of_file(log_file(record.path), kLogEndBytes);
  return mount;
}

Result<KeptMount> MountKeeper::start(const MountRecord& wanted, uint32_t timeout_ms) {
  SHIMA_RETURN_IF_ERROR(check_mount_request(wanted, options_.roots));
  const BusyPath busy(*this, wanted.path);
  SHIMA_RETURN_IF_ERROR(busy.status());
  std::optional<MountRecord> known;
  {
    std::lock_guard lock(mutex_);
    const auto found = records_.find(wanted.path);
    if (found != records_.end()) known = found->second;
  }
  if (known) {
    const KeptMount mount = look(*known);
    if (mount.running && !known->same_mount(wanted)) {
      return Status(Code::kAlreadyExists, "volume " + known->volume + " is mounted at " + wanted.path +
                                              " (publication " + std::to_string(known->publication) + ", " +
                                              (known->read_only ? "read-only" : "read and write") +
                                              "); stop it first");
    }
    if (mount.running) return wait_mounted(*known, timeout_ms);
    auto gone = take_away(*known, kUnmountMs);
    if (!gone) return gone.status();
  }
  return make(wanted, timeout_ms);
}

Result<KeptMount> MountKeeper::make(MountRecord record, uint32_t timeout_ms) {
  auto parent = open_parent("path", record.path);  // nobody's symbolic link leads us elsewhere
  if (!parent) return parent.status();
  auto table = read_mount_table();
  if (!table) return table.status();
  if (const MountEntry* there = table->at(record.path); there != nullptr) {
    return Status(Code::kAlreadyExists, there->source + " (" + there->type + ") is mounted at " +
                                            record.path + " and not the mounter's; unmount it first");
  }
  record.since_ms = since_1970_ms();
  auto process = start_mount_process(mount_command(options_, record), log_file(record.path),
                                     [&](const ProcessIdentity& identity) {
                                       record.process = identity;
                                       return store(record);
                                     });
  if (!process) return process.status();
  auto mount = wait_mounted(record, timeout_ms);
  if (mount.is_ok() || mount.status().code() == Code::kDeadlineExceeded) return mount;  // it may still come
  const auto gone = take_away(record, kUnmountMs);
  return gone ? mount.status() : mount.status().with_context(gone.status().to_string());
}

Result<KeptMount> MountKeeper::wait_mounted(MountRecord record, uint32_t timeout_ms) {
  const uint64_t until = real_clock().now_ms() + timeout_ms;
  while (true) {
    const KeptMount mount = look(record);
    if (!mount.running) {
      return Status(Code::kFailedPrecondition, "shima-accessserver ended with code " +
                                                   std::to_string(mount.exit_code) + " before volume " +
                                                   record.volume + " was mounted at " + record.path +
                                                   ". The end of its log: " + mount.log_end);
    }
    if (const uint32_t connection = connection_at(record); connection != 0) {
      if (record.connection != connection) {
        record.connection = connection;
        SHIMA_RETURN_IF_ERROR(store(record));
      }
      return KeptMount{record, true, -1, ""};
    }
    if (real_clock().now_ms() >= until) {
      return Status(Code::kDeadlineExceeded, "volume " + record.volume + " is not mounted at " + record.path +
                                                 " within " + std::to_string(timeout_ms) +
                                                 " ms; its process goes on trying. The end of its log: " +
                                                 end_of_file(log_file(record.path), kLogEndBytes));
    }
    usleep(kLookAgainUs);
  }
}

Result<StoppedMount> MountKeeper::stop(const std::string& path, uint32_t timeout_ms) {
  SHIMA_RETURN_IF_ERROR(check_path_below("path", path, options_.roots));
  const BusyPath busy(*this, path);
  SHIMA_RETURN_IF_ERROR(busy.status());
  MountRecord record;
  {
    std::lock_guard lock(mutex_);
    const auto found = records_.find(path);
    if (found == records_.end()) return StoppedMount{};
    record = found->second;
  }
  return take_away(record, timeout_ms);
}

Result<StoppedMount> MountKeeper::take_away(const MountRecord& record, uint32_t timeout_ms) {
  StoppedMount stopped;
  // Looked up before the process unmounts it: afterwards nothing says which connection was its.
  const uint32_t seen = connection_at(record), connection = seen != 0 ? seen : record.connection;
  const OwnedFd process = open_process(record.process);
  if (process) {
    send_signal(process, SIGTERM);
    if (!wait_for_end(process, timeout_ms)) {
      stopped.aborted = true;
      const bool alive = connection != 0 && !is_of_another(connection, record, records());
      log(LogLevel::kWarning, "mounter",
          "volume " + record.volume + " at " + record.path + " does not end" +
              (alive ? "; its FUSE connection is aborted" : ", and has no FUSE connection (any more)"));
      if (alive) {
        const Status aborted = abort_fuse_connection(connection);
        if (!aborted.is_ok()) log(LogLevel::kError, "mounter", aborted.to_string());
      }
      if (!wait_for_end(process, kAfterAbortMs)) send_signal(process, SIGKILL);
      if (!wait_for_end(process, kAfterKillMs)) {
        return Status(Code::kDeadlineExceeded,
                      "process " + std::to_string(record.process.pid) + " does not die; try again");
      }
    }
  }
  if (connection_at(record) != 0) SHIMA_RETURN_IF_ERROR(unmount_lazily(record.path, true, kUnmountMs));
  const KeptMount last = look(record);
  stopped.exit_code = last.exit_code;
  stopped.log_end = last.log_end;
  SHIMA_RETURN_IF_ERROR(forget(record.path));
  log(LogLevel::kInfo, "mounter", "volume " + record.volume + " at " + record.path + " is unmounted");
  return stopped;
}

Status MountKeeper::forget(const std::string& path) {
  SHIMA_RETURN_IF_ERROR(folder_.remove(mount_id(path) + ".json"));
  SHIMA_RETURN_IF_ERROR(folder_.remove(mount_id(path) + ".log"));
  std::lock_guard lock(mutex_);
  const auto found = records_.find(path);
  if (found == records_.end()) return {};
  exit_codes_.erase(found->second.process.pid);
  records_.erase(found);
  return {};
}

std::vector<MountRecord> MountKeeper::records() {
  std::lock_guard lock(mutex_);
  std::vector<MountRecord> records;
  for (const auto& [path, record] : records_) records.push_back(record);
  return records;
}

std::vector<KeptMount> MountKeeper::list() {
  std::vector<KeptMount> mounts;
  for (const MountRecord& record : records()) mounts.push_back(look(record));
  return mounts;
}

void MountKeeper::look_after() {
  reap();
  for (const MountRecord& record : records()) limit_log(log_file(record.path), kMostLogBytes);
}

}  // namespace shima
