#include "operator/desired/site_map.h"

#include <algorithm>
#include <set>

#include "operator/spec/label_syntax.h"

namespace shima {
namespace {

using Names = std::vector<std::string>;

constexpr size_t kNamed = 3;  // of a list, in a text for people

std::string some_of(const Names& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool fits(const NodeView& node, const SiteEntry& entry) {
  return std::all_of(entry.match_labels.begin(), entry.match_labels.end(), [&](const auto& wanted) {
    const auto found = node.labels.find(wanted.first);
    return found != node.labels.end() && found->second == wanted.second;
  });
}

std::string label_of(const NodeView& node, const std::string& label) {
  const auto found = node.labels.find(label);
  return found == node.labels.end() ? std::string() : found->second;
}

// Of one node, what its labels say.
struct Place {
  std::string here;     // the site that our label says, if there is one of that name
  Names fitting;        // the sites that it should be in: one, if all is well
  bool is_odd = false;  // the topology label's value cannot be a site's name
};

Names fitting_sites(const TopologySpec& topology, const NodeView& node) {
  Names fitting;
  for (const SiteEntry& entry : topology.sites)
    if (fits(node, entry)) fitting.push_back(entry.name);
  if (!topology.sites.empty()) return fitting;
  const std::string value = label_of(node, topology.label);
  if (valid_site_name(value)) fitting.push_back(value);
  return fitting;
}

std::set<std::string> known_sites(const TopologySpec& topology, const std::vector<NodeView>& nodes,
                                  const Names& kept) {
  std::set<std::string> known(kept.begin(), kept.end());
  for (const SiteEntry& entry : topology.sites) known.insert(entry.name);
  if (topology.sites.empty())
    for (const NodeView& node : nodes)
      for (const std::string& site : fitting_sites(topology, node)) known.insert(site);
  return known;
}

// A node that fits no entry, or several. An edit of the list must not end the mounts of those it forgot.
void leave_where_it_is(const NodeView& node, const Place& place, const Names& removed, SiteMap& map) {
  const std::string label = label_of(node, kOwnSiteLabel);
  if (!place.here.empty()) map.nodes_of_site[place.here].push_back(node.name);
  if (place.here.empty() && contains(removed, label)) return;
  if (place.here.empty() && !label.empty()) map.keep_label.insert(node.name);
  if (place.here.empty() && place.fitting.empty()) return;  // in no site, and nothing is wrong with that
  map.problems.push_back("node " + node.name +
                         (place.fitting.empty() ? " fits no entry of spec.topology.sites"
                                                : " fits sites " + some_of(place.fitting)) +
                         ", wanted one, and " +
                         (!place.here.empty()
                              ? "stays in " + place.here + ", which its label " + kOwnSiteLabel + " says"
                              : "is in none" + (label.empty() ? ""
                                                              : "; its label " + std::string(kOwnSiteLabel) +
                                                                    "=" + label + " stays")) +
                         "; change its labels, or matchLabels in spec.topology.sites");
}

void put_into_its_site(const TopologySpec& topology, const NodeView& node, const Place& place, SiteMap& map) {
  const bool leaves = place.fitting.empty() && topology.sites.empty() && !place.is_odd;
  if (place.fitting.size() == 1 || (leaves && !place.here.empty())) {
    const std::string to = leaves ? "" : place.fitting.front();
    map.nodes_of_site[place.here.empty() ? to : place.here].push_back(node.name);
    if (!place.here.empty() && place.here != to) map.moves[node.name] = {place.here, to};
  } else if (place.is_odd && !place.here.empty()) {  // a slip in a label is told, and ends no mounts
    map.nodes_of_site[place.here].push_back(node.name);
  } else {
    leave_where_it_is(node, place, topology.removed_sites, map);
  }
}

void map_nodes(const TopologySpec& topology, const std::vector<NodeView>& nodes, const Names& kept,
               const std::set<std::string>& by_topology_label, SiteMap& map) {
  std::map<std::string, Names> odd;
  const std::set<std::string> known = known_sites(topology, nodes, kept);
  for (const SiteEntry& entry : topology.sites) map.nodes_of_site[entry.name];
  for (const NodeView& node : nodes) {
    Place place{label_of(node, kOwnSiteLabel), fitting_sites(topology, node)};
    const bool is_not_asked = place.fitting.size() == 1 && by_topology_label.contains(place.fitting.front());
    if (is_not_asked || !known.contains(place.here)) place.here.clear();
    place.is_odd = topology.sites.empty() && place.fitting.empty() && node.labels.contains(topology.label);
    if (place.is_odd) odd[label_of(node, topology.label)].push_back(node.name);
    put_into_its_site(topology, node, place, map);
  }
  for (const auto& [value, names] : odd)
    map.problems.push_back("label " + map.label + " is \"" + value + "\" on " + some_of(names) + ", wanted " +
                           kSiteNameWanted +
                           "; these nodes stay where they are, or are in no site: list the sites in "
                           "spec.topology.sites instead");
}

// A node that is not Ready may only be cut off, and its mounts may live: it is gone when somebody says so.
Names those_not_gone(const std::vector<NodeView>& nodes, const Names& of) {
  Names names;
  for (const NodeView& node : nodes)
    if (!is_lost(node) && contains(of, node.name)) names.push_back(node.name);
  return names;
}

// What is to go is not used any more, though nodes may still bear its name; but what serves mounts stays.
void leave_out_removed(const Names& removed, const Names& kept, const std::vector<NodeView>& nodes,
                       SiteMap& map) {
  for (const std::string& site : removed) {
    const auto found = map.nodes_of_site.find(site);
    if (found == map.nodes_of_site.end()) continue;
    const Names there = those_not_gone(nodes, found->second);
    if (contains(kept, site) && !there.empty()) {
      map.refused.push_back("site " + site + " stays though spec.topology.removedSites names it: its nodes " +
                            some_of(there) +
                            " are still there, and their mounts would end; drain these nodes, then delete " +
                            "them or take their label " + map.label +
                            " off; of a site that is lost, delete the nodes or give them the taint " +
                            "node.kubernetes.io/out-of-service");
      continue;
    }
    if (!found->second.empty())
      map.problems.push_back("site " + site + " is in spec.topology.removedSites, and its nodes " +
                             some_of(found->second) + " are out of service; they are not used");
    map.nodes_of_site.erase(found);
  }
}

void keep_existing(const Names& kept, const Names& removed, SiteMap& map) {
  for (const std::string& site : kept)
    if (!contains(removed, site)) map.nodes_of_site[site];
}

// A listed site whose nodes are still to come has nothing to run on yet, and nothing to keep.
void tell_empty_sites(const Names& kept, SiteMap& map) {
  for (auto site = map.nodes_of_site.begin(); site != map.nodes_of_site.end();) {
    if (!site->second.empty()) {
      ++site;
    } else if (contains(kept, site->first)) {
      map.problems.push_back("site " + site->first +
                             " has no nodes; it stays, with its data. If it is gone for good, name it in "
                             "spec.topology.removedSites");
      ++site;
    } else {
      map.problems.push_back("site " + site->first + " has no nodes yet: nothing is made for it");
      site = map.nodes_of_site.erase(site);
    }
  }
}

}  // namespace

SiteMap map_sites(const ShimaClusterSpec& spec, const std::vector<NodeView>& nodes, const Names& kept,
                  const std::set<std::string>& by_topology_label) {
  SiteMap map;
  map.label_is_ours = !spec.topology.sites.empty();
  map.label = map.label_is_ours ? kOwnSiteLabel : spec.topology.label;
  map_nodes(spec.topology, nodes, kept, by_topology_label, map);
  leave_out_removed(spec.topology.removed_sites, kept, nodes, map);
  std::erase_if(map.moves, [&](const auto& move) { return !map.nodes_of_site.contains(move.second.from); });
  keep_existing(kept, spec.topology.removed_sites, map);
  tell_empty_sites(kept, map);
  for (auto& [site, names] : map.nodes_of_site) std::sort(names.begin(), names.end());
  if (map.nodes_of_site.empty())
    map.problems.push_back(map.label_is_ours
                               ? "no node fits an entry of spec.topology.sites: there is no site yet"
                               : "no node has the label " + map.label + ": there is no site yet");
  return map;
}

}  // namespace shima
