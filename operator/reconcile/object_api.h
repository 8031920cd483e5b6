// What the reconciler needs of an API server, as interfaces, so that tests put a fake here.
//
// Threads: any. Errors: those of common/kubernetes/api_client.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kubernetes/object_cache.h"
#include "common/kubernetes/resource_path.h"
#include "common/status/status.h"

namespace shima {

inline constexpr char kFieldManager[] = "shima-operator";

// Calls of the one that acts, each as ApiClient has it. They block. get(): where a watch that is a moment old
// will not do.
class ObjectCalls {
 public:
  virtual ~ObjectCalls() = default;

  virtual Result<nlohmann::json> get(const ResourceKind& kind, const std::string& name_space,
                                     const std::string& name) = 0;
  // All that there are, in all namespaces: a call for each 500.
  virtual Result<std::vector<nlohmann::json>> list(const ResourceKind& kind) = 0;
  virtual Result<nlohmann::json> apply(const ResourceKind& kind, const nlohmann::json& object) = 0;
  virtual Result<nlohmann::json> apply_status(const ResourceKind& kind, const nlohmann::json& object) = 0;
  virtual Result<nlohmann::json> create(const ResourceKind& kind, const nlohmann::json& object) = 0;
  virtual Result<nlohmann::json> merge_patch(const ResourceKind& kind, const std::string& name_space,
                                             const std::string& name, const nlohmann::json& patch) = 0;
  virtual Status remove(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                        const std::string& uid) = 0;
  // Only if it is still as in `object`, which a watch has shown: kConflict otherwise.
  virtual Status remove_as_seen(const ResourceKind& kind, const nlohmann::json& object) = 0;
  virtual Status evict(const std::string& name_space, const std::string& pod) = 0;
};

// What is there, as the operator's watches have it: perhaps a moment old.
class ObjectView {
 public:
  virtual ~ObjectView() = default;

  virtual bool watched(const ResourceKind& kind) const = 0;  // this kind is, and its first list has come
  virtual Status trouble(
      const ResourceKind& kind) const = 0;  // why what is known of it may be old; kOk: it is not
  virtual ObjectPointer get(const ResourceKind& kind, const std::string& key) const = 0;  // nullptr: none
  virtual ObjectMap all(const ResourceKind& kind) const = 0;
};

}  // namespace shima
