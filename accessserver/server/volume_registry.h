// VolumeRegistry: the volumes that this access server has open, each once, shared by all who ask.
//
// Volumes are opened when somebody asks for the first time, and stay open until they are deleted or the
// registry stops. Several callers share one opening; callers by id share the listing of names (at most one
// runs, those who come meanwhile share the next, which sees what was there when they asked).
// Threads: all methods from any thread. `done` of by_name(), by_id() and list() comes on a worker's thread,
// or inside the call when the volume is open already or the registry has stopped. Blocking work is on
// `threads` workers. Errors: as VolumeSource gives them; kUnavailable after stop(), and of an opening under
// way when forget_all() is called.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "accessserver/options/export_rules.h"
#include "accessserver/server/exports.h"
#include "accessserver/server/published_access.h"
#include "common/runtime/worker_pool.h"

namespace shima {

struct VolumeName {
  std::string name;
  uint64_t id = 0;
};

// Where volumes come from: the cluster, or a test's own. Blocking calls, several at a time.
class VolumeSource {
 public:
  virtual ~VolumeSource() = default;
  // kNotFound: there is no such volume.
  virtual Result<std::shared_ptr<FileSystem>> open(const std::string& name) = 0;
  virtual Result<std::vector<VolumeName>> list() = 0;
};

class VolumeRegistry final : public Exports {
 public:
  // `source` must outlive the registry.
  VolumeRegistry(VolumeSource& source, std::vector<ExportRule> rules, unsigned threads = 8);
  // What else decides about a client, beside the rules. Before the first request.
  using Publications = std::function<PublishedAccess(const std::string& volume, const std::string& client)>;
  void set_publications(Publications publications) { publications_ = std::move(publications); }
  ~VolumeRegistry() override;  // stop()

  void by_name(const std::string& volume, Done done) override;
  void by_id(uint64_t volume_id, Done done) override;
  std::shared_ptr<FileSystem> open_now(uint64_t volume_id) const override;
  void list(std::function<void(Result<std::vector<std::string>>)> done) override;
  Access access(const std::string& volume, const std::string& client) const override;

  // The volume was deleted: whoever asks again is told so by the source. Those who hold it keep it.
  void forget(uint64_t volume_id);
  // Whoever asks again gets the volumes opened anew. Those who hold one keep it.
  void forget_all();
  std::vector<std::shared_ptr<FileSystem>> open_volumes() const;

  // Waits for openings under way, answers those who wait and lets go of all volumes. Idempotent.
  void stop();

 private:
  using ListDone = std::function<void(const Result<std::vector<VolumeName>>&)>;

  void open_on_worker(const std::string& name);
  void share_listing(ListDone done);
  void list_on_worker();
  std::shared_ptr<FileSystem> find(const std::string& name) const;  // with mutex_

  VolumeSource& source_;
  const std::vector<ExportRule> rules_;
  Publications publications_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  uint64_t forgotten_ = 0;                                // how often all were
  std::map<uint64_t, std::shared_ptr<FileSystem>> open_;  // by volume id
  std::map<std::string, std::vector<Done>> opening_;      // by name: who waits
  std::vector<ListDone> waiting_for_list_;                // of the next listing
  bool listing_ = false;
  WorkerPool workers_;
};

}  // namespace shima
