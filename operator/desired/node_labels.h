// PURE: the label that says a node's site, where sites are a list with selectors.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/site_map.h"

namespace shima {

// RFC 7386 merge patches by the node's name, only of nodes whose label is not what it should be: a node that
// is in no site loses it, unless SiteMap::keep_label has it. Patches and not objects to apply: applying would
// bring a node back that was just deleted.
std::map<std::string, nlohmann::json> node_label_patches(const SiteMap& sites,
                                                         const std::vector<NodeView>& nodes);

}  // namespace shima
