#include "accessserver/server/cluster_volumes.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "accessserver/volume/grpc_layout.h"

namespace shima {
namespace {

constexpr unsigned kClosingThreads = 2;

// The layout of one volume, and no other that was given its name later.
class WatchedLayout final : public LayoutSource {
 public:
  WatchedLayout(std::unique_ptr<LayoutSource> source, std::function<void(uint64_t)> on_gone)
      : source_(std::move(source)), on_gone_(std::move(on_gone)) {}

  Result<VolumeLayout> fetch(const std::string& name) override {
    Result<VolumeLayout> layout = source_->fetch(name);
    uint64_t first = 0;
    if (layout &&
        (id_.compare_exchange_strong(first, layout->volume.value) || first == layout->volume.value)) {
      return layout;
    }
    if (!layout && layout.status().code() != Code::kNotFound) return layout;
    if (const uint64_t id = id_.load(); id != 0 && on_gone_) on_gone_(id);
    if (!layout) return layout;
    return Status(Code::kNotFound, "volume " + name + " with id " + std::to_string(first) +
                                       " was deleted; another one has its name now");
  }

 private:
  const std::unique_ptr<LayoutSource> source_;
  const std::function<void(uint64_t)> on_gone_;
  std::atomic<uint64_t> id_{0};  // 0: not known yet
};

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

Result<std::shared_ptr<FileSystem>> ClusterVolumes::open(const std::string& name) {
  auto opened = std::make_unique<OpenVolume>();
  opened->layout = std::make_unique<WatchedLayout>(
      make_grpc_layout_source({options_.core_endpoints, static_cast<int>(options_.core_timeout_ms)}),
      on_gone_);
  VolumeClientOptions client_options;
  client_options.deadline_ms = options_.deadline_ms;
  client_options.max_in_flight_bytes = options_.inflight_bytes;
  client_options.own_site = options_.site;
  auto client = VolumeClient::open(*opened->layout, name, client_options);
  if (!client) return client.status();
  opened->client = std::move(*client);
  if (!opened->client->layout().has_metadata) {
    return Status(
        Code::kFailedPrecondition,
        "volume " + name +
            " was made before there were files and holds one raw image; use shimactl volume export, "
            "and make a new volume for files");
  }
  FileSystemOptions file_options;
  file_options.session_name = options_.name;
  opened->files = make_file_system(*opened->client, file_options);
  std::shared_ptr<OpenVolume> holder(opened.release(), [closing = closing_](OpenVolume* volume) {
    closing->post([owned = std::unique_ptr<OpenVolume>(volume)] {});
  });
  std::lock_guard lock(mutex_);
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

std::vector<NamedVolumeStats> ClusterVolumes::stats() {
  std::vector<std::shared_ptr<OpenVolume>> open;
  {
    std::lock_guard lock(mutex_);
    for (const auto& volume : open_) {
      if (auto alive = volume.lock()) open.push_back(std::move(alive));
    }
  }
  std::vector<NamedVolumeStats> all;
  for (const auto& volume : open) all.push_back({volume->files->volume_name(), volume->client->stats()});
  return all;
}

}  // namespace shima
