// PURE: why a pod is not ready, or was not made, in a few words for people: as far as objects tell that are
// watched anyway (core/v1 PodStatus, apps/v1 DeploymentCondition).
//
// What changes while the cause stays is left out, since the status would be written each time: what the
// kubelet says of pulls and restarts (pauses, ids, ports), and how many nodes the scheduler counts. `kubectl
// describe` has that. The words are strangers': they become one line, and are cut.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace shima {

inline constexpr size_t kMostWordsBytes = 200;  // of one message

// Leaves of a Pod's status what is read here, and whether its conditions are true.
void trim_pod_status(nlohmann::json& status);

// "shima-core-a-0: ..."; empty: it is ready, or nobody says, as while containers start for the first time.
std::string why_not_ready(const nlohmann::json& pod);

// Of a workload whose controller has seen it, and that has fewer pods than it should; else empty.
std::string why_without_pods(const nlohmann::json& workload, uint32_t pods, uint32_t wanted);

// What a status says of an older spec does not count.
bool has_observed(const nlohmann::json& workload);

}  // namespace shima
