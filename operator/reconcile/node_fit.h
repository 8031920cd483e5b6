// PURE: whether a pod that is made anew could be on a node, as kube-scheduler decides it (NodeAffinity by
// nodeSelector, TaintToleration, NodeUnschedulable, VolumeBinding of bound claims). Room on it and what pods
// say of each other are not looked at.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "operator/desired/inputs.h"

namespace shima {

// Why the node does not take pods of `pod_spec` (core/v1 PodSpec), and what to do; empty: it does.
std::string misfit(const NodeView& node, const nlohmann::json& pod_spec);

// Whether a PersistentVolume can be used on the node. Of operators only In is known: others say no.
bool is_usable_on(const nlohmann::json& persistent_volume, const NodeView& node);

}  // namespace shima
