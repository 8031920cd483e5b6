// ClusterVolumes: volumes of the cluster as FileSystems, each over a volume client and a session of its own.
//
// A volume that is deleted is noticed when its client reads its layout again: `on_gone` is told. Closing
// takes time (the session ends, threads are joined), so whoever lets go of a FileSystem last, a callback on
// the volume's own event loop perhaps, hands it to a thread of ours. Threads: all methods from any thread;
// on_gone comes on a client's thread and must not block. Errors: kNotFound: no such volume;
// kFailedPrecondition: one made before there were files; kUnavailable, kDeadlineExceeded: nobody answered.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "accessserver/options/access_options.h"
#include "accessserver/server/volume_registry.h"
#include "accessserver/volume/volume_client.h"
#include "common/runtime/worker_pool.h"
#include "coreserver/rpc/control_client.h"

namespace shima {

struct NamedVolumeStats {
  std::string volume;
  VolumeClientStats stats;
};

class ClusterVolumes final : public VolumeSource {
 public:
  explicit ClusterVolumes(const AccessOptions& options);
  ~ClusterVolumes() override;  // stop()

  // Before the first open().
  void set_on_gone(std::function<void(uint64_t volume_id)> on_gone) { on_gone_ = std::move(on_gone); }

  Result<std::shared_ptr<FileSystem>> open(const std::string& name) override;
  Result<std::vector<VolumeName>> list() override;

  std::vector<NamedVolumeStats> stats();
  // Waits until the volumes that were let go of are closed.
  void stop();

 private:
  struct OpenVolume;

  const AccessOptions options_;
  std::function<void(uint64_t)> on_gone_;
  ControlClient control_;
  std::shared_ptr<WorkerPool> closing_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<OpenVolume>> open_;  // with mutex_
};

}  // namespace shima
