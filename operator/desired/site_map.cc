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

// By the value of the label; nodes without it are in no site, and nothing is wrong with that.
void map_by_label(const std::vector<NodeView>& nodes, SiteMap& map) {
  std::map<std::string, Names> odd;
  for (const NodeView& node : nodes) {
    const auto found = node.labels.find(map.label);
    if (found == node.labels.end()) continue;
    if (valid_site_name(found->second)) {
      map.nodes_of_site[found->second].push_back(node.name);
    } else {
      odd[found->second].push_back(node.name);
    }
  }
  for (const auto& [value, names] : odd)
    map.problems.push_back("label " + map.label + " is \"" + value + "\" on " + some_of(names) + ", wanted " +
                           kSiteNameWanted +
                           "; these nodes are in no site: list the sites in spec.topology.sites instead");
}

std::string site_label_of(const NodeView& node) {
  const auto found = node.labels.find(kOwnSiteLabel);
  return found == node.labels.end() ? std::string() : found->second;
}

// A node that fits no entry, or several. An edit of the list must not end the mounts of those it forgot.
void leave_where_it_is(const NodeView& node, const Names& fitting, const Names& kept, const Names& removed,
                       SiteMap& map) {
  const std::string site = site_label_of(node);
  if (site.empty() && fitting.empty()) return;  // in no site, and nothing is wrong with that
  const bool known = !site.empty() && (map.nodes_of_site.contains(site) || contains(kept, site));
  if (known) map.nodes_of_site[site].push_back(node.name);
  if (!known && contains(removed, site)) return;
  if (!known && !site.empty()) map.keep_label.insert(node.name);
  map.problems.push_back(
      "node " + node.name +
      (fitting.empty() ? " fits no entry of spec.topology.sites" : " fits sites " + some_of(fitting)) +
      ", wanted one, and " +
      (known
           ? "stays in " + site + ", which its label " + kOwnSiteLabel + " says"
           : "is in none" +
                 (site.empty() ? "" : "; its label " + std::string(kOwnSiteLabel) + "=" + site + " stays")) +
      "; change its labels, or matchLabels in spec.topology.sites");
}

void map_by_selectors(const TopologySpec& topology, const std::vector<NodeView>& nodes, const Names& kept,
                      SiteMap& map) {
  for (const SiteEntry& entry : topology.sites) map.nodes_of_site[entry.name];
  for (const NodeView& node : nodes) {
    Names fitting;
    for (const SiteEntry& entry : topology.sites)
      if (fits(node, entry)) fitting.push_back(entry.name);
    if (fitting.size() == 1) {
      map.nodes_of_site[fitting.front()].push_back(node.name);
    } else {
      leave_where_it_is(node, fitting, kept, topology.removed_sites, map);
    }
  }
}

Names ready_ones(const std::vector<NodeView>& nodes, const Names& of) {
  Names ready;
  for (const NodeView& node : nodes)
    if (node.ready && contains(of, node.name)) ready.push_back(node.name);
  return ready;
}

// What is to go is not used any more, though nodes may still bear its name; but what serves mounts stays.
void leave_out_removed(const Names& removed, const Names& kept, const std::vector<NodeView>& nodes,
                       SiteMap& map) {
  for (const std::string& site : removed) {
    const auto found = map.nodes_of_site.find(site);
    if (found == map.nodes_of_site.end()) continue;
    const Names ready = ready_ones(nodes, found->second);
    if (contains(kept, site) && !ready.empty()) {
      map.refused.push_back("site " + site + " stays though spec.topology.removedSites names it: its nodes " +
                            some_of(ready) +
                            " are Ready, and their mounts would end; drain these nodes, then delete " +
                            "them or take their label " + map.label + " off");
      continue;
    }
    if (!found->second.empty())
      map.problems.push_back("site " + site + " is in spec.topology.removedSites, and its nodes " +
                             some_of(found->second) + " are still there; they are not used");
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

SiteMap map_sites(const ShimaClusterSpec& spec, const std::vector<NodeView>& nodes, const Names& kept) {
  SiteMap map;
  map.label_is_ours = !spec.topology.sites.empty();
  map.label = map.label_is_ours ? kOwnSiteLabel : spec.topology.label;
  if (map.label_is_ours) {
    map_by_selectors(spec.topology, nodes, kept, map);
  } else {
    map_by_label(nodes, map);
  }
  leave_out_removed(spec.topology.removed_sites, kept, nodes, map);
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
