// ClusterVolumes: volumes of the cluster as FileSystems, each over a volume client and a session of its own.
//
// A volume that is deleted is noticed when its client reads its layout again: `on_gone` is told. Closing
// takes time (the session ends, threads are joined), so whoever lets go of a FileSystem last, a callback on
// the volume's own event loop perhaps, hands it to a thread of ours.
//
// All clients have one identity (R20). When it changes, those of the old one are retired: suspend() ends what
// is in flight, resume() lets volumes be opened again. Threads: all methods from any thread; the callbacks
// come on a client's thread and must not block, `admission` on the thread of open(). Errors: kNotFound: no
// such volume; kFailedPrecondition: one made before there were files; kPermissionDenied: `admission` refuses;
// kUnavailable, kDeadlineExceeded: nobody answered, or suspended.
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
  // A core server has refused the identity.
  using OnFenced = std::function<void(const ClientIdentity& identity, const Status& why)>;
  void set_on_fenced(OnFenced on_fenced) { on_fenced_ = std::move(on_fenced); }
  // Whether a volume may be opened, as its layout and the identity are; may block.
  using Admission = std::function<Status(const VolumeLayout& layout, const ClientIdentity& identity)>;
  void set_admission(Admission admission) { admission_ = std::move(admission); }

  void suspend(const std::string& why);
  void resume(ClientIdentity identity);

  Result<std::shared_ptr<FileSystem>> open(const std::string& name) override;
  Result<std::vector<VolumeName>> list() override;

  std::vector<NamedVolumeStats> stats();
  // Waits until the volumes that were let go of are closed.
  void stop();

 private:
  struct OpenVolume;

  VolumeClientOptions client_options(const ClientIdentity& identity) const;
  std::vector<std::shared_ptr<OpenVolume>> open_volumes();

  const AccessOptions options_;
  std::function<void(uint64_t)> on_gone_;
  OnFenced on_fenced_;
  Admission admission_;
  ControlClient control_;
  std::shared_ptr<WorkerPool> closing_;
  std::mutex mutex_;
  ClientIdentity identity_;                      // with mutex_
  std::string suspended_;                        // with mutex_: why; empty: not
  uint64_t generation_ = 0;                      // with mutex_: of the identity
  std::vector<std::weak_ptr<OpenVolume>> open_;  // with mutex_
};

}  // namespace shima
