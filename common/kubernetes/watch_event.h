// What lists and watches of the Kubernetes API deliver ("Kubernetes API Concepts", efficient detection of
// changes).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace shima {

struct ObjectList {
  std::vector<nlohmann::json> items;  // each with apiVersion and kind, which the server leaves out in lists
  std::string resource_version;       // to watch from
};

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark };
  Type type = Type::kAdded;
  nlohmann::json object;  // a bookmark has only metadata.resourceVersion
};

}  // namespace shima
