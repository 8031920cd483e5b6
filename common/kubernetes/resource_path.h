// Paths of the Kubernetes API, from kinds and names ("Kubernetes API Concepts", resource URIs).
//
// PURE. Names come from objects and people: what could leave its place in the path is refused
// (kInvalidArgument, which part and why); everything else is percent-encoded (RFC 3986 section 2.1).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status/status.h"

namespace shima {

// Where objects of a kind are: /api/v1/namespaces/NS/PLURAL or /apis/GROUP/VERSION/...
struct ResourceKind {
  std::string api_version;  // "v1", "apps/v1", "shima.io/v1alpha1"
  std::string kind;         // "StatefulSet"
  std::string plural;       // "statefulsets"
  bool namespaced = true;
};

// /api/v1 or /apis/GROUP/VERSION.
Result<std::string> group_path(std::string_view api_version);
// All objects of a kind, in `name_space` or (if empty, or the kind has no namespaces) everywhere.
Result<std::string> collection_path(const ResourceKind& kind, std::string_view name_space);
// One object. `subresource`: "status", "eviction", or empty. The namespace of a namespaced kind is needed.
Result<std::string> object_path(const ResourceKind& kind, std::string_view name_space, std::string_view name,
                                std::string_view subresource = {});
// "?a=b&c=d", percent-encoded; "" without parameters.
std::string query_text(const std::vector<std::pair<std::string, std::string>>& parameters);

// What caches and queues know an object by: "NAMESPACE/NAME", or "NAME" without a namespace.
std::string object_key(std::string_view name_space, std::string_view name);
// The opposite: {namespace, name}.
std::pair<std::string, std::string> split_object_key(std::string_view key);

}  // namespace shima
