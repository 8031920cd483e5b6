#include "operator/server/cluster_watches.h"

#include <thread>
#include <utility>
#include <vector>

#include "operator/desired/object_labels.h"
#include "operator/reconcile/found_objects.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {

ClusterWatches::ClusterWatches(ApiAccess access, std::function<void(const std::string&)> changed)
    : access_(std::move(access)), changed_(std::move(changed)) {}

ClusterWatches::~ClusterWatches() { stop(); }

void ClusterWatches::watch(const ResourceKind& kind, const std::string& selector,
                           std::function<void(nlohmann::json&)> trim,
                           std::function<void(const std::string&)> on_change) {
  WatchedObjects what{.kind = kind, .options = {.label_selector = selector}, .trim = std::move(trim)};
  auto watcher = std::make_unique<ObjectWatcher>(access_, std::move(what), std::move(on_change));
  ObjectWatcher* started = watcher.get();
  {
    std::lock_guard lock(mutex_);
    if (!watchers_.emplace(kind_key(kind), std::move(watcher)).second) return;
  }
  started->start();
}

void ClusterWatches::watch_owned(const ResourceKind& kind) {
  watch(kind, std::string(kManagedByLabel) + "=" + kManagedByValue + "," + kClusterLabel, {},
        [this](const std::string& key) { clusters_changed(split_object_key(key).first); });
}

void ClusterWatches::start() {
  watch(shima_cluster_kind(), {}, {}, [this](const std::string& key) { changed_(key); });
  watch(node_kind(), {}, trim_node, [this](const std::string& name) { node_changed(name); });
  watch(pod_kind(), kClusterLabel, trim_pod,
        [this](const std::string& key) { clusters_changed(split_object_key(key).first); });
  // Nobody waits for these: they are compared with each look at the core servers.
  watch(shima_volume_kind(), kClusterLabel, {}, [](const std::string&) {});
  for (const ResourceKind& kind : owned_kinds()) {
    bool optional = false;
    for (const ResourceKind& each : optional_kinds()) optional = optional || each.kind == kind.kind;
    if (!optional) watch_owned(kind);
  }
}

void ClusterWatches::start_optional(const ResourceKind& kind) {
  if (!watcher_of(kind)) watch_owned(kind);
}

void ClusterWatches::stop() {
  std::vector<std::thread> stopping;
  {
    std::lock_guard lock(mutex_);
    for (auto& [key, watcher] : watchers_) stopping.emplace_back([one = watcher.get()] { one->stop(); });
  }
  for (std::thread& each : stopping) each.join();
}

ObjectWatcher* ClusterWatches::watcher_of(const ResourceKind& kind) const {
  std::lock_guard lock(mutex_);
  const auto found = watchers_.find(kind_key(kind));
  return found == watchers_.end() ? nullptr : found->second.get();
}

bool ClusterWatches::watched(const ResourceKind& kind) const {
  const ObjectWatcher* watcher = watcher_of(kind);
  return watcher && watcher->has_synced();
}

Status ClusterWatches::trouble(const ResourceKind& kind) const {
  const ObjectWatcher* watcher = watcher_of(kind);
  return watcher ? watcher->trouble() : Status::ok();
}

ObjectPointer ClusterWatches::get(const ResourceKind& kind, const std::string& key) const {
  const ObjectWatcher* watcher = watcher_of(kind);
  return watcher ? watcher->get(key) : nullptr;
}

ObjectMap ClusterWatches::all(const ResourceKind& kind) const {
  const ObjectWatcher* watcher = watcher_of(kind);
  return watcher ? watcher->snapshot() : ObjectMap();
}

bool ClusterWatches::is_ready() const { return watched(shima_cluster_kind()) && watched(node_kind()); }

// A kubelet writes its node every few minutes, which is mostly nothing to us.
void ClusterWatches::node_changed(const std::string& name) {
  const ObjectPointer node = get(node_kind(), name);
  {
    std::lock_guard lock(mutex_);
    uint64_t hash = 0;
    if (node) {
      nlohmann::json content = *node;
      content["metadata"].erase("resourceVersion");
      hash = json_hash(content);
    }
    uint64_t& known = node_hashes_[name];
    if (known == hash) return;
    known = hash;
    if (!node) node_hashes_.erase(name);
  }
  clusters_changed({});
}

void ClusterWatches::clusters_changed(const std::string& name_space) {
  for (const auto& [key, cluster] : all(shima_cluster_kind()))
    if (name_space.empty() || namespace_of(*cluster) == name_space) changed_(key);
}

}  // namespace shima
