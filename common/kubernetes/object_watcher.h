// ObjectWatcher: a thread that keeps an ObjectCache of one kind up to date from an API server.
//
// It has a client, and so a connection, of its own. Threads: all methods from any thread; `on_change` is
// called on the watcher's thread, with no lock held, one call after another, and may call everything but
// stop(). An object that is handed out never changes. While the API server is away the last state stays, and
// trouble() says so.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kubernetes/api_access.h"
#include "common/kubernetes/api_client.h"
#include "common/kubernetes/object_cache.h"

namespace shima {

struct WatchedObjects {
  ResourceKind kind;
  ListOptions options;
  // Takes out of each object what is of no use here, since memory is kept for every object of the cluster;
  // never apiVersion, kind or metadata's name, namespace, uid and resourceVersion. metadata.managedFields
  // always goes.
  std::function<void(nlohmann::json&)> trim;
  RetryDelay delay = {};
};

class ObjectWatcher {
 public:
  // `on_change`: the key (resource_path.h) of an object that is new, different or gone; may be empty.
  ObjectWatcher(ApiAccess access, WatchedObjects what, std::function<void(const std::string& key)> on_change);
  ~ObjectWatcher();  // stop()
  ObjectWatcher(const ObjectWatcher&) = delete;
  ObjectWatcher& operator=(const ObjectWatcher&) = delete;

  void start();  // once
  void stop();   // returns within about 200 ms (and on_change's own time); a second call does nothing

  bool has_synced() const;                            // the first list has come
  bool wait_until_synced(uint64_t timeout_ms) const;  // false: it has not, or stop() was called
  ObjectMap snapshot() const;                         // shares the objects
  ObjectPointer get(const std::string& key) const;    // nullptr: it is not there
  Status trouble() const;  // kOk: all is well; else why the last list or watch failed

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
