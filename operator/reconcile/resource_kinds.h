// The kinds of Kubernetes objects that the operator reads or writes, and where the API server has them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kubernetes/resource_path.h"

namespace shima {

// Of the operator's own CRDs.
const ResourceKind& shima_cluster_kind();
const ResourceKind& shima_volume_kind();
const ResourceKind& node_kind();
const ResourceKind& pod_kind();
const ResourceKind& stateful_set_kind();
const ResourceKind& deployment_kind();
const ResourceKind& daemon_set_kind();
const ResourceKind& disruption_budget_kind();
const ResourceKind& event_kind();
const ResourceKind& config_map_kind();
const ResourceKind& service_kind();
const ResourceKind& persistent_volume_kind();
const ResourceKind& claim_kind();  // PersistentVolumeClaim
const ResourceKind& volume_attachment_kind();

// What desired_objects() makes, those first on which others depend; without Nodes. What is among these, bears
// a cluster's labels, is not wanted and does not stand for data (kKeepLabel) is deleted: so never
// PersistentVolumeClaims, nor Pods.
const std::vector<ResourceKind>& owned_kinds();
// Among them, those that an API server may not know.
const std::vector<ResourceKind>& optional_kinds();

// Of an object, by its apiVersion and kind; nullptr: none that the operator knows.
const ResourceKind* kind_of(const nlohmann::json& object);
// "apps/v1/StatefulSet": how maps of kinds are ordered.
std::string kind_key(const ResourceKind& kind);
// "StatefulSet shima-system/shima-core-a", for people.
std::string told_object(const nlohmann::json& object);

}  // namespace shima
