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
// Whether the process lives, as it says itself at its metrics' port. Not by CSI's Probe: that fails while
// core servers are away, and who is restarted until they are back is late then. `where`: of the httpGet.
nlohmann::json csi_liveness_probe(const nlohmann::json& where);
// Whether it could do what it is asked, as livenessprobe beside it learns by Probe.
nlohmann::json csi_readiness_probe();
nlohmann::json csi_mount(const std::string& name, const std::string& path, bool bidirectional = false);
nlohmann::json csi_host_directory(const std::string& name, const std::string& path, const std::string& type);

inline constexpr int kCsiControllerHealthPort = 9808, kCsiNodeHealthPort = 9809;

}  // namespace shima
