// PURE: what CSI's controller and its plug-ins on the nodes have in common (charts/csi has the same by hand).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/cluster_plan.h"

namespace shima {

// The container of our driver; `arguments` beside the role's own.
nlohmann::json csi_container(const ClusterPlan& plan, const std::vector<std::string>& arguments);
// A sidecar of Kubernetes, by its name in spec.csi.sidecarImages.
nlohmann::json csi_sidecar(const ClusterPlan& plan, const std::string& container, const std::string& image,
                           const std::vector<std::string>& arguments, const nlohmann::json& mounts);
nlohmann::json csi_liveness_probe();
nlohmann::json csi_mount(const std::string& name, const std::string& path, bool bidirectional = false);
nlohmann::json csi_host_directory(const std::string& name, const std::string& path, const std::string& type);

inline constexpr int kCsiControllerHealthPort = 9808, kCsiNodeHealthPort = 9809;

}  // namespace shima
