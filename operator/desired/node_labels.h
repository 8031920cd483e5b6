// PURE: the label that says a node's site, and by which pods choose their nodes.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/desired/site_map.h"

namespace shima {

// RFC 7386 merge patches by the node's name, only of nodes whose label does not say where SiteMap has them: a
// node that is in no site loses it, unless SiteMap::keep_label has it. Patches and not objects to apply:
// applying would bring a node back that was just deleted. A node that should be elsewhere has none here
// (SiteMap::moves): see node_moves.h.
std::map<std::string, nlohmann::json> node_label_patches(const SiteMap& sites,
                                                         const std::vector<NodeView>& nodes);
// Into `site`; empty: into none.
nlohmann::json node_label_patch(const std::string& site);

}  // namespace shima
