// ClusterWatches: the operator's watches of the API server, one a kind, and who is told of what changes.
//
// Nodes and ShimaClusters are watched wholly; of the other kinds only what bears our labels. What the
// operator does not read is taken out before it is kept. Threads: all methods from any thread; `changed` is
// called on the watches' threads with the keys of ShimaClusters to be looked at, and must only make a note.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "common/kubernetes/api_access.h"
#include "common/kubernetes/object_watcher.h"
#include "operator/reconcile/object_api.h"

namespace shima {

class ClusterWatches final : public ObjectView {
 public:
  ClusterWatches(ApiAccess access, std::function<void(const std::string& cluster_key)> changed);
  ~ClusterWatches() override;  // stop()

  void start();  // once: all kinds but the optional ones
  void stop();   // all at the same time; a second call does nothing
  // From when the API server knows it; a second call does nothing.
  void start_optional(const ResourceKind& kind);

  bool watched(const ResourceKind& kind) const override;
  Status trouble(const ResourceKind& kind) const override;
  ObjectPointer get(const ResourceKind& kind, const std::string& key) const override;
  ObjectMap all(const ResourceKind& kind) const override;

  // Whether the operator can act: ShimaClusters and Nodes have been listed.
  bool is_ready() const;

 private:
  void watch(const ResourceKind& kind, const std::string& selector, std::function<void(nlohmann::json&)> trim,
             std::function<void(const std::string&)> on_change);
  void watch_owned(const ResourceKind& kind);
  ObjectWatcher* watcher_of(const ResourceKind& kind) const;
  void node_changed(const std::string& name);
  // Of a namespace; empty: all.
  void clusters_changed(const std::string& name_space);

  const ApiAccess access_;
  const std::function<void(const std::string&)> changed_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<ObjectWatcher>>
      watchers_;  // by kind_key(); never erased before the end
  std::map<std::string, uint64_t> node_hashes_;
};

}  // namespace shima
