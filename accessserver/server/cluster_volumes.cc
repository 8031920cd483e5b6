#include "accessserver/server/cluster_volumes.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "accessserver/server/watched_layout.h"
#include "accessserver/volume/grpc_layout.h"

namespace shima {
namespace {

constexpr unsigned kClosingThreads = 2;
}  // namespace

// Destroyed from the last to the first: the file system uses the client, which uses the layout.
struct ClusterVolumes::OpenVolume {
  std::unique_ptr<LayoutSource> layout;
  std::unique_ptr<VolumeClient> client;
  std::unique_ptr<FileSystem> files;
};

ClusterVolumes::ClusterVolumes(const AccessOptions& options)
    : options_(options),
      control_({options.core_endpoints, static_cast<int>(options.core_timeout_ms),
                static_cast<int>(std::min(options.core_timeout_ms, 2000u))}),
      closing_(std::make_shared<WorkerPool>("closing", kClosingThreads)) {}

ClusterVolumes::~ClusterVolumes() { stop(); }

void ClusterVolumes::stop() { closing_->stop(); }

void ClusterVolumes::suspend(const std::string& why) {
  {
    std::lock_guard lock(mutex_);
    suspended_ = why;
    generation_++;
  }
  for (const auto& volume : open_volumes()) volume->client->retire({Code::kUnavailable, why});
}

void ClusterVolumes::resume(ClientIdentity identity) {
  std::lock_guard lock(mutex_);
  identity_ = std::move(identity);
  suspended_.clear();
}

VolumeClientOptions ClusterVolumes::client_options(const ClientIdentity& identity) const {
  VolumeClientOptions options;
  options.deadline_ms = options_.deadline_ms;
  options.max_in_flight_bytes = options_.inflight_bytes;
  options.own_site = options_.site;
  options.identity = identity;
  options.on_fenced = [on_fenced = on_fenced_, identity](const Status& why) {
    if (on_fenced) on_fenced(identity, why);
  };
  return options;
}

Result<std::shared_ptr<FileSystem>> ClusterVolumes::open(const std::string& name) {
  ClientIdentity identity;
  uint64_t generation = 0;
  {
    std::lock_guard lock(mutex_);
    if (!suspended_.empty()) return Status(Code::kUnavailable, suspended_);
    identity = identity_;
    generation = generation_;
  }
  auto opened = std::make_unique<OpenVolume>();
  opened->layout = std::make_unique<WatchedLayout>(
      make_grpc_layout_source({options_.core_endpoints, static_cast<int>(options_.core_timeout_ms)}),
      on_gone_);
  auto client = VolumeClient::open(*opened->layout, name, client_options(identity));
  if (!client) return client.status();
  opened->client = std::move(*client);
  if (admission_) SHIMA_RETURN_IF_ERROR(admission_(opened->client->layout(), identity));
  if (!opened->client->layout().has_metadata) {
    return Status(
        Code::kFailedPrecondition,
        "volume " + name +
            " was made before there were files and holds one raw image; use shimactl volume export, "
            "and make a new volume for files");
  }
  FileSystemOptions file_options;
  file_options.session_name = options_.name;
  // An NFS client asks again, and finds another identity of this server or another server.
  if (options_.mount.empty()) file_options.fenced_errno = ETIMEDOUT;
  opened->files = make_file_system(*opened->client, file_options);
  std::shared_ptr<OpenVolume> holder(opened.release(), [closing = closing_](OpenVolume* volume) {
    closing->post([owned = std::unique_ptr<OpenVolume>(volume)] {});
  });
  std::unique_lock lock(mutex_);
  if (generation != generation_) {  // `holder` goes after the lock
    lock.unlock();
    return Status(Code::kUnavailable, "this server has registered anew meanwhile; ask again");
  }
  std::erase_if(open_, [](const std::weak_ptr<OpenVolume>& volume) { return volume.expired(); });
  open_.push_back(holder);
  FileSystem* files = holder->files.get();
  return std::shared_ptr<FileSystem>(std::move(holder), files);
}

Result<std::vector<VolumeName>> ClusterVolumes::list() {
  auto reply = control_.list_volumes({});
  if (!reply) return reply.status();
  std::vector<VolumeName> names;
  for (const auto& volume : reply->volumes()) {
    if (!volume.deleting()) names.push_back({volume.name(), volume.volume_id()});
  }
  return names;
}

std::vector<std::shared_ptr<ClusterVolumes::OpenVolume>> ClusterVolumes::open_volumes() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<OpenVolume>> open;
  for (const auto& volume : open_) {
    if (auto alive = volume.lock()) open.push_back(std::move(alive));
  }
  return open;
}

std::vector<NamedVolumeStats> ClusterVolumes::stats() {
  std::vector<NamedVolumeStats> all;
  for (const auto& volume : open_volumes())
    all.push_back({volume->files->volume_name(), volume->client->stats()});
  return all;
}

}  // namespace shima
