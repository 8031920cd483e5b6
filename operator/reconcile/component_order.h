// PURE: core servers get a new version before those that ask them.
//
// A core server passes over what it does not know in a request, so a CSI controller that is newer than the
// core servers believes that a label or an option was kept which was not (docs/explanation/upgrades.md). So
// access servers and the CSI driver keep the image that they run until all core servers have the new one; and
// with it the whole template of their pods, since options, probes and volumes of the new version may be
// nothing to the old one. Replicas, Services and the like are applied at once, and what is not there yet is
// made with the new image.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "operator/reconcile/found_objects.h"

namespace shima {

// Puts the templates that run now into those of `objects`, of desired_objects(), that have to wait; their
// names. Their pods so restart once. What others change in a template meanwhile stays until then. A
// DaemonSet's nodeSelector does not wait: it goes by its nodes' labels (site_selector()). Core servers of
// `removed_sites` are not waited for: they do not come back.
std::vector<std::string> hold_later_components(std::vector<nlohmann::json>& objects,
                                               const FoundObjects& found,
                                               const std::set<std::string>& removed_sites = {});

}  // namespace shima
