// PURE: which objects of a cluster are to be deleted, since nothing asks for them any more.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/kubernetes/object_cache.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

// Of `found`, objects of one owned kind: those of `cluster` that are not in `wanted` (their keys), are not
// being deleted already and do not stand for data (kKeepLabel).
std::vector<ObjectPointer> unwanted_objects(const ObjectMap& found, const std::set<std::string>& wanted,
                                            const ClusterIdentity& cluster);

}  // namespace shima
